"""Journal of a search's trials: Optuna's storage where the locks of SQLite do not hold, as on network file systems."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from study.home.files import parse_object, wait_for_lock

LAST_ENTRY_BYTES = 2**20
"""The last entry is within these last bytes of a journal."""


def open_journal(path: Path) -> JournalStorage:
    """Optuna's storage in a journal, which is made where it is missing.

    Raises:
        OSError: it cannot be made or read.
        StorageInternalError: it is damaged.
    """
    lock = _FileLock(path)
    # Half an entry is cut off before it is read, too.
    if path.exists() and os.access(path, os.W_OK):
        lock.acquire()
        lock.release()
    return JournalStorage(_Journal(path, lock))


def lock_of(path: Path) -> Path:
    """The file whose lock protects a journal: not the journal, as SMB keeps even its holder from a locked file."""
    return path.with_name(f"{path.name}.lock")


class _Journal(JournalFileBackend):
    """Optuna's journal, whose errors are those of a storage."""

    def __init__(self, path: Path, lock: "_FileLock") -> None:
        super().__init__(str(path), lock_obj=lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            super().append_logs(logs)
        except OSError as error:
            raise StorageInternalError(error.strerror) from None

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        try:
            yield from super().read_logs(log_number_from)
        except (OSError, ValueError, RecursionError) as error:
            raise StorageInternalError(f"it is damaged: {error}") from None


class _FileLock(JournalFileOpenLock):
    """Lock that ends with the process that holds it; Optuna's own are files, which a killed process leaves behind.

    With the lock, half an entry that a killed process or a full disk left is cut off: Optuna would add the next entry
    to the same line, and could read neither.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        self._file = lock_of(self._path).open("a")
        wait_for_lock(self._file)
        _cut_half_entry(self._path)
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()


def _cut_half_entry(path: Path) -> None:
    """Cuts off the end of a journal that is no whole entry; every entry before the last one was on disk before it."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        start = file.seek(max(0, size - LAST_ENTRY_BYTES))
        end = file.read()
        whole = end.rfind(b"\n") + 1
        last = end.rfind(b"\n", 0, whole - 1) + 1 if whole else 0
        if whole and not _is_entry(end[last:whole]):
            whole = last
        if start + whole < size:
            file.truncate(start + whole)


def _is_entry(line: bytes) -> bool:
    try:
        parse_object(line)
    except ValueError:
        return False
    return True
