"""MLflow's server of a chaos run, which a fault kills and which comes back at the same address."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from benchmarks.chaos.processes import MARKER
from study.tracking.server import start_server, stop_server, wait_until_healthy


class MlflowServer:
    """A server with a database and a folder of its own, at one address.

    Args:
        folder: of its database, its artifacts and its log.
        host: the address to listen at.
        mark: by which its processes are known.
    """

    def __init__(self, folder: Path, host: str, mark: str) -> None:
        self._folder, self._host, self._port, self._mark = folder, host, _free_port(), mark
        self.uri = f"http://{host}:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "MlflowServer":
        self._folder.mkdir(parents=True)
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            stop_server(self._process)

    def start(self) -> None:
        """Starts it, and returns when it answers."""
        os.environ[MARKER] = self._mark
        database, log = f"sqlite:///{self._folder / 'mlflow.db'}", self._folder / "server.log"
        self._process = start_server(database, self._folder / "served", self._host, self._port, log)
        wait_until_healthy(self._process, self.uri, log)

    def kill(self) -> None:
        """Kills the server and its workers."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
