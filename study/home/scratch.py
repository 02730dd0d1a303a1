"""Scratch folders of processes: removed at their end, or by the next process that makes one where they were killed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from study.home.files import locked, try_lock, wait_for_lock

OWNER = ".owner"


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
            folder = Path(tempfile.mkdtemp(dir=parent))
            wait_for_lock(stack.enter_context((folder / OWNER).open("w")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_unowned(folder: Path) -> None:
    """Removes a folder that no living process holds."""
    owner = folder / OWNER
    if owner.exists():
        with owner.open("a") as file:
            if not try_lock(file):
                return
    shutil.rmtree(folder, ignore_errors=True)
