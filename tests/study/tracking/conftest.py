"""Homes with an empty MLflow database, and MLflow servers."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.tracking.server import start_server, stop_server, wait_until_healthy
from study.tracking.uri import default_uri
from tests.shared import free_port


@pytest.fixture
def home(empty_database: Path, tmp_path: Path) -> Path:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


class Server:
    """A real server of a home of its own, which a test may kill and start again."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        log = self._home / "server.log"
        process = start_server(default_uri(self._home), self._home / "served", "127.0.0.1", self._port, log)
        self._processes.append(process)
        wait_until_healthy(process, self.uri, log)

    def kill(self) -> None:
        os.killpg(self._processes[-1].pid, signal.SIGKILL)
        self._processes[-1].wait()

    def stop(self) -> None:
        for process in self._processes:
            stop_server(process)


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    server = Server(home)
    server.start()
    yield server
    server.stop()
