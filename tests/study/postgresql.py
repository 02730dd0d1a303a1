"""A PostgreSQL server of a test's own, which can be killed and started again."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))), "")
needs_postgresql = pytest.mark.skipif(
    shutil.which("initdb", path=PROGRAMS or None) is None, reason="needs PostgreSQL's initdb (apt: postgresql)"
)
DATABASES = ("searches", "runs")


class Server:
    """A PostgreSQL server in a folder, run by an unprivileged user; it asks for no password.

    Args:
        folder: an empty one, which other users can enter.
        user: the owner of the databases.
        databases: their names.
    """

    def __init__(self, folder: Path, user: str, databases: Sequence[str]) -> None:
        pytest.importorskip("psycopg", reason="needs the extra `postgres`")
        self.folder, self._owner = folder, user
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._user = {"user": "nobody"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(folder, "nobody")
        self._do("initdb", "--auth=trust", f"--username={user}", "-D", str(folder / "data"))
        self.start()
        for database in databases:
            self._do("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", user, database)

    def url(self, database: str = "searches") -> str:
        return f"postgresql://{self._owner}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._do(
            "pg_ctl", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def kill(self) -> None:
        self._do("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def stop(self) -> None:
        """Ends it where it runs."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.kill()

    def _do(self, program: str, *arguments: str) -> None:
        command = [shutil.which(program, path=PROGRAMS or None) or program, *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._user)  # type: ignore[call-overload]


@contextmanager
def running(folder: Path, user: str = "me", databases: Sequence[str] = DATABASES) -> Iterator[Server]:
    """A server that is ended with the block."""
    server = Server(folder, user, databases)
    try:
        yield server
    finally:
        server.stop()
