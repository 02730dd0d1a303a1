"""What all tests share: folders that whichever lane needs one first makes, and ports that are free."""

import fcntl
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` has filled; tests copy what they change.

    Args:
        factory: its base is the folder of this lane, or of the only one.
        name: the folder's.
        make: takes the empty folder.
    """
    top = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        top = top.parent
    folder, made = top / name, top / f"{name}.made"
    with (top / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a lane that failed
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
