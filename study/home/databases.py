"""SQLite databases of a home: created aside and renamed when they are whole, so that a kill never leaves a half one."""

import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from study.home.files import locked, replacing, sync
from trainers.stage import MachineError

SIDE_FILES = ("-journal", "-wal", "-shm")
"""Endings of the files that SQLite keeps beside a database while it is written."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
LOCK_SECONDS, CHECK_SECONDS = 20.0, 2.0
STEPS_BETWEEN_LOOKS = 100_000


def create_whole(path: Path, create: Callable[[Path], None], is_half_made: Callable[[Path], bool]) -> Path | None:
    """Creates an SQLite database where there is none, or one that was left half made; of several processes, one does.

    Args:
        path: the database.
        create: creates it at another path beside it, and closes it.
        is_half_made: whether an existing database was never finished, and holds nothing yet.

    Returns:
        The new name of a half-made database, or None where there was none.

    Raises:
        MachineError: the file system has no locks.
    """
    if path.exists() and not is_half_made(path):
        return None
    lock, half_made = path.with_name(f"{path.name}.lock"), None
    with locked(lock):
        _remove_parts(path)
        if path.exists() and is_half_made(path):
            half_made = _set_aside(path)
        if not path.exists():
            _remove_side_files(path)
            with replacing(path) as temporary:
                create(temporary)
                _finish(temporary)
            sync(path.parent)
        lock.unlink(missing_ok=True)  # whoever waits for it finds the database
    return half_made


def damage(path: Path) -> str:
    """The damage of an existing database in SQLite's words, empty where none is found within `CHECK_SECONDS`.

    Raises:
        MachineError: it cannot be opened.
    """
    if path.is_dir():
        raise MachineError(f"{path} is a folder, in the place of a database: move it away.")
    deadline = time.monotonic() + CHECK_SECONDS
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS)
        ) as database:
            database.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
            [fault] = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return ""
        if error.sqlite_errorcode & 0xFF not in DAMAGED:  # an extended code has its kind in the lowest byte
            raise MachineError(f"{path} cannot be opened ({error}).") from error
        return str(error)
    return "" if fault == "ok" else str(fault).partition("\n")[0]


def is_empty(path: Path) -> bool:
    """Whether a file has no content: nothing but zeros, as a loss of power leaves them."""
    with path.open("rb") as file:
        return not any(any(block) for block in iter(lambda: file.read(2**20), b""))


def num_rows(path: Path) -> dict[str, int]:
    """Number of rows by table of an existing SQLite database; what a killed process left half written is rolled back.

    Raises:
        sqlite3.DatabaseError: the file is none, or it stays locked.
    """
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in tables}


def _finish(path: Path) -> None:
    """Writes everything of a database into its one file, on disk, with the permissions of its folder."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if path.parent.stat().st_mode & stat.S_IWGRP:  # SQLite takes no notice of the umask
        path.chmod(path.stat().st_mode | stat.S_IRGRP | stat.S_IWGRP)
    sync(path)


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.half-made-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    _remove_side_files(path)
    return path.rename(aside)


def _remove_side_files(path: Path) -> None:
    """Removes what SQLite keeps beside a database that is gone: it would play it back into a new one."""
    for ending in SIDE_FILES:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _remove_parts(path: Path) -> None:
    """Removes what processes that were killed while they created a database have left beside it."""
    for part in path.parent.glob(f"{path.name}.*.part*"):
        part.unlink(missing_ok=True)
