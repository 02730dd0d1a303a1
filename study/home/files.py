"""Files of a home folder: written whole or not at all, and locked between processes.

The locks are those of `flock`: they end with the process that holds them, however it ends, and hold between hosts where
the file system carries them. The `filelock` package does not fit: it locks by path, but a journal is locked through the
file that it is written with, and the file of a run before it gets its name; and where a file system has no locks, it
falls back to marker files, which outlive a killed process.
"""

import fcntl
import functools
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from trainers.stage import MachineError

ANNOUNCE_AFTER_SECONDS, POLL_SECONDS = 1.0, 0.05

_log = logging.getLogger(__name__)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to it when the block ends and removed when the block fails.

    Two processes may replace one file at once: the last rename wins, and readers see a whole file at any time.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield temporary
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Removes what processes that were killed while they replaced a file have left beside it."""
    for part in path.parent.glob(f"{path.name}.*.part"):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Writes a file, whole or not at all; a durable one is on disk, under its name, once this returns."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        if durable:
            sync(temporary)
    if durable:
        sync(path.parent)


def write_json(path: Path, content: object, *, durable: bool = False) -> None:
    """Writes a JSON file, whole or not at all; see `write_text`."""
    write_text(path, json.dumps(content, indent=1), durable=durable)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        MachineError: the file holds none.
    """
    try:
        return parse_object(path.read_bytes())
    except ValueError:
        raise damaged_file(path) from None


def parse_object(text: bytes | str) -> dict[str, Any]:
    """The object that a text in JSON holds, whatever a loss of power has made of the text.

    Raises:
        ValueError: it holds none.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it is no object")
    return content


def damaged_file(path: Path) -> MachineError:
    """The error for a file of a home that cannot be read."""
    return MachineError(f"{path} is damaged: remove it and run the study again, which computes only what is missing.")


@functools.cache
def note_ignored(path: Path) -> None:
    """Notes, once in a process, that a damaged file is ignored, which only remembers something."""
    _log.warning("%s is damaged and ignored.", path)


def sync(path: Path) -> None:
    """Returns when a file's content, or a folder's list of names, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_lock(file: IO[Any]) -> bool:
    """Locks an open file until it is closed; False where another process, or another open file, holds the lock.

    Raises:
        MachineError: the file system has no locks.
    """
    return _try_flock(file, fcntl.LOCK_EX)


def wait_for_lock(file: IO[Any], waiting: Callable[[], None] = lambda: None) -> None:
    """Locks an open file until it is closed, waiting for another holder; `waiting` is called after a second of that.

    Raises:
        MachineError: the file system has no locks.
    """
    deadline = time.monotonic() + ANNOUNCE_AFTER_SECONDS
    while not try_lock(file):
        if time.monotonic() >= deadline:
            waiting()
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            return
        time.sleep(POLL_SECONDS)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file, which is made where it is missing; waits for it.

    Raises:
        MachineError: the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        wait_for_lock(file)
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file, which may be missing or not writable for this one.

    Two processes may ask at once: neither takes the other for a holder.
    """
    try:
        with path.open() as file:
            return not _try_flock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_flock(file: IO[Any], operation: int) -> bool:
    try:
        fcntl.flock(file.fileno(), operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MachineError(
            f"the file system of the home folder has no locks ({error.strerror}): name a home on another with --home."
        ) from None
    return True
