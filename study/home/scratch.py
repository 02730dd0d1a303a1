"""Scratch folders and files of processes: removed at their end, or by the next process where they were killed."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from study.home.files import is_locked, locked, replacing, wait_for_lock

OWNER = ".owner"
NODE_CHECK = "node-check-"
"""Beginning of the names of files by which nodes show that they see a home folder."""
HALF_WRITTEN_SECONDS = 3600
"""Nobody takes so long to write a small file."""


@contextmanager
def own_folder(parent: Path, guard: Path) -> Iterator[Path]:
    """A new folder for the length of the block; those of processes that were killed are removed.

    Args:
        parent: the folder that it is made in.
        guard: the file that is locked while folders are made and removed.
    """
    with ExitStack() as stack:
        with locked(guard):
            parent.mkdir(exist_ok=True)
            for left in parent.iterdir():
                _remove_unowned(left)
            folder = parent / uuid.uuid4().hex  # which another user of the home can remove, unlike one of `tempfile`
            folder.mkdir()
            wait_for_lock(stack.enter_context((folder / OWNER).open("w")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_file(folder: Path, prefix: str) -> Iterator[Path]:
    """A file that holds its own name, for the length of the block, which this process locks."""
    path = folder / f"{prefix}{uuid.uuid4().hex}"
    with ExitStack() as stack:
        with replacing(path) as temporary:
            file = stack.enter_context(temporary.open("w"))
            wait_for_lock(file)  # before others can see it
            file.write(path.name)
            file.flush()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def remove_left_files(folder: Path, prefix: str) -> None:
    """Removes the files of `own_file` that processes which were killed have left, half written ones too."""
    for left in folder.glob(f"{prefix}*"):
        with suppress(FileNotFoundError, PermissionError):  # removed meanwhile, or another user's
            is_whole = left.suffix != ".part"
            if not is_locked(left) and (is_whole or time.time() - left.stat().st_mtime > HALF_WRITTEN_SECONDS):
                left.unlink(missing_ok=True)


def _remove_unowned(folder: Path) -> None:
    """Removes a folder that no living process holds; another user's is left to them."""
    with suppress(PermissionError):
        if not is_locked(folder / OWNER):
            shutil.rmtree(folder, ignore_errors=True)
