"""A search whose trials are in PostgreSQL, which is killed and started again."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.study.search.stub_search import SEARCH, Conditions, open_study, remembered, searched, states
from trainers.stage import MachineError

PROGRAMS = next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))), "")
pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(
        shutil.which("initdb", path=PROGRAMS or None) is None, reason="needs PostgreSQL's initdb (apt: postgresql)"
    ),
]


class Server:
    """A PostgreSQL server in a folder, run by an unprivileged user."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("psycopg", reason="needs the extra `postgres`")
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._user = {"user": "nobody"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(folder, "nobody")
        self._do("initdb", "--auth=trust", "--username=me", "-D", str(folder / "data"))
        self.start()
        self._do("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "me", "searches")

    @property
    def url(self) -> str:
        return f"postgresql://me@127.0.0.1:{self.port}/searches"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._do(
            "pg_ctl", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def kill(self) -> None:
        self._do("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def _do(self, program: str, *arguments: str) -> None:
        command = [shutil.which(program, path=PROGRAMS or None) or program, *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._user)  # type: ignore[call-overload]


@pytest.fixture
def server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:  # pytest keeps other users from its own
        started = Server(Path(folder))
        yield started
        started.kill()


def test_a_search_in_postgresql_goes_on_after_the_server_was_killed(tmp_path: Path, server: Server):
    _, on_disk = searched(tmp_path / "disk", 4)
    home = tmp_path / "home"
    searched(home, 2, url=server.url)

    def lose_the_server() -> None:
        with open_study(home, SEARCH.bind(Conditions()), url=server.url) as optuna_study:
            server.kill()
            optuna_study.ask()

    with pytest.raises(MachineError, match=r"the Optuna storage postgresql:.* cannot be used"):
        lose_the_server()
    server.start()
    _, trials = searched(home, 4, url=server.url)
    assert states(trials) == states(on_disk)
    assert remembered(trials) == remembered(on_disk)
