"""Folders that all lanes of tests share: whichever needs one first makes it."""

import fcntl
import os
import shutil
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
