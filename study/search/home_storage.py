"""Storage of a home's searches: an SQLite database, or a journal where the home is on a network file system."""

import logging
from pathlib import Path

import optuna

from study.home.file_systems import network_mount
from study.home.files import locked, remove_parts, replacing, sync
from study.home.runs import active_runs
from study.search.journal import lock_of, open_journal
from study.search.storage import (
    JOURNAL,
    SQLITE,
    close_storage,
    connect,
    is_half_made,
    translate_storage_errors,
    url_of,
)
from trainers.stage import InputError

DATABASE, JOURNAL_FILE = "optuna.db", "optuna.journal"
_log = logging.getLogger(__name__)


def storage_url(home: Path) -> str:
    """URL of the storage in a home folder.

    Once there is a journal, every machine uses it, so that one which has the same folder on its own disk does not begin
    a second list of trials.
    """
    database, journal = home / DATABASE, home / JOURNAL_FILE
    if journal.exists() or (network_mount(home) and not database.exists()):
        return url_of(JOURNAL, journal)
    return url_of(SQLITE, database)


def move_to_journal(home: Path) -> None:
    """Moves the trials of a home on a network file system into a journal, where an earlier version made a database.

    Raises:
        InputError: a process that may be writing the database searches in this home.
        MachineError: the database cannot be read.
    """
    database, journal = home / DATABASE, home / JOURNAL_FILE
    mount = network_mount(home)
    if mount is None or journal.exists() or not database.exists():
        return
    if running := [each for each in active_runs(home) if each.command.split()[1:2] == ["search"]]:
        raise InputError(
            f"{home} is on a network file system ({mount}), so that its trials move from {DATABASE} to a journal, but "
            f"process {running[0].pid} on {running[0].host} searches in it: wait for it, or "
            f"`freelunch stop {running[0].study}` ends it."
        )
    with locked(home / "searches" / "lock"), translate_storage_errors(url_of(SQLITE, database)):
        if not journal.exists():
            _copy(database, journal)
            kept = database.rename(database.with_name(f"{DATABASE}.moved"))
            _log.warning(
                "the home folder is on a network file system (%s), where SQLite databases can be destroyed: the trials "
                "of its searches were copied to %s, and the database is kept as %s.",
                mount,
                journal,
                kept.name,
            )


def _copy(database: Path, journal: Path) -> None:
    """Copies all Optuna studies of a database to a journal, which appears whole."""
    remove_parts(journal)
    with replacing(journal) as temporary:
        to = open_journal(temporary)
        if not is_half_made(database):
            storage = connect(url_of(SQLITE, database))
            for name in optuna.get_all_study_names(storage):
                optuna.copy_study(from_study_name=name, from_storage=storage, to_storage=to)
            close_storage(storage)
        lock_of(temporary).unlink(missing_ok=True)
        sync(temporary)
