"""Folders that appear whole or not at all, outside of the home folder."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from study.home.files import sync
from trainers.stage import InputError


def check_free(path: Path, *, overwrite: bool, is_ours: Callable[[Path], bool]) -> None:
    """Refuses a place that is taken; an empty folder is not.

    Args:
        path: of a folder to be made.
        overwrite: whether to replace a folder that an earlier command has made.
        is_ours: whether a folder is one of those.

    Raises:
        InputError: there is something that would be lost.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path} is no folder: name another with --output.")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not is_ours(path):
        raise InputError(f"{path} holds files that are no export: name another folder with --output.")
    if not overwrite:
        raise InputError(f"{path} holds an export already: name another folder, or replace it with --overwrite.")


@contextmanager
def filling(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill; it gets that name when the block ends, and is removed when the block fails.

    What was there under the name is removed afterwards, and comes back where the new one cannot be put in its place.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    temporary.mkdir()
    try:
        yield temporary
        for each in (*sorted(temporary.rglob("*")), temporary):
            sync(each)
        _put(temporary, path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(new: Path, path: Path) -> None:
    old = new.with_suffix(".old")
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
