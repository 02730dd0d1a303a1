"""Optuna's storage: its URL, its password, and its errors as sentences."""

import logging
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy
import sqlalchemy.exc
from optuna.storages import JournalStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from study.home.commands import DISTRIBUTION
from study.home.databases import create_whole, is_empty, num_rows
from study.home.file_systems import network_mount
from study.search.journal import open_journal
from trainers.stage import InputError, MachineError

SQLITE, JOURNAL = "sqlite", "journal"
LOCK_SECONDS = 60
TABLE_OF_MLFLOW, VERSIONS = "experiments", "alembic_version"
STORAGE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
Storage = RDBStorage | JournalStorage
_log = logging.getLogger(__name__)


def url_of(kind: str, path: Path) -> str:
    """URL of a file with trials: an SQLite database, or a journal."""
    return URL.create(kind, database=str(path.absolute())).render_as_string(hide_password=False)


def path_of(url: str) -> Path | None:
    """The file that a URL names; None where it names a server, or nothing that can be understood."""
    try:
        location = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # reported when it is opened
        return None
    in_file = location.get_backend_name() in (SQLITE, JOURNAL)
    return Path(location.database or ":memory:") if in_file else None


def is_journal(url: str) -> bool:
    """Whether a URL names a journal."""
    return url.startswith(f"{JOURNAL}:")


def dashboard_name(url: str) -> str:
    """A storage as optuna-dashboard names it: a journal by its path."""
    return str(path_of(url)) if is_journal(url) else url


def absolute_url(url: str) -> str:
    """A storage's URL that means the same in every directory.

    Raises:
        InputError: it is no URL, or names an SQLite database that is no file.
    """
    try:
        make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # the latter of a port that is no number
        raise InputError(
            f"--storage {without_password(url)} is no URL of a database: give one, such as "
            "sqlite:////data/searches.db or postgresql://user@host/searches."
        ) from None
    path = path_of(url)
    if path is None:
        return url
    if str(path) == ":memory:" or str(path).startswith("file:"):
        raise InputError(
            f"--storage {url} names no file by its path, and a search's trials outlive its process: give one, such as "
            "sqlite:////data/searches.db."
        )
    if path.is_absolute():
        return url
    return make_url(url).set(database=str(path.absolute())).render_as_string(hide_password=False)


def without_password(url: str) -> str:
    """A storage's URL with its password masked."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # such as a port that is no number
        shown = re.sub(r":(?!//).*@", ":***@", url)
    return re.sub(r"(?i)(password|passwd|pwd)=[^&]*", r"\1=***", shown)


def open_storage(url: str) -> Storage:
    """Opens a storage to search with, which is created where it is missing.

    Raises:
        InputError: it is an SQLite database on a network file system, or MLflow's database.
    """
    path = path_of(url)
    if path is not None and not is_journal(url) and path.parent.is_dir():
        _check_local(url, path)
        aside = create_whole(path, _create, is_half_made)
        if aside is not None:
            _log.warning(
                "%s was left half made by a process that was killed or had no space; it held no trial, is now %s, and "
                "a new one was made.",
                path,
                aside.name,
            )
    if not is_journal(url):
        _refuse_database_of_mlflow(url)
    return connect(url)


def connect(url: str) -> Storage:
    """Opens a storage as it is."""
    path = path_of(url)
    if path is not None and is_journal(url):
        return open_journal(path)
    in_file = path is not None
    arguments = {"connect_args": {"timeout": LOCK_SECONDS}} if in_file else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=arguments)


def close_storage(storage: Storage) -> None:
    """Closes a storage's connections."""
    storage.remove_session()
    if isinstance(storage, RDBStorage):
        storage.engine.dispose()


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """An Optuna study as its storage has it: its trials by number, and whether larger values are better."""

    trials: list[FrozenTrial]
    maximised: bool


def read_trials(name: str, url: str) -> list[FrozenTrial]:
    """The trials of an Optuna study, by number.

    Raises:
        MachineError: as `read_study`.
    """
    return read_study(name, url).trials


def read_study(name: str, url: str) -> StoredStudy:
    """An Optuna study; nothing is created where there is nothing.

    Raises:
        MachineError: the storage cannot be used, or does not have the study.
    """
    with translate_storage_errors(url):
        path = path_of(url)
        if path is not None and not path.is_file():
            raise MachineError(f"{path} is not there, which held the trials of {name!r}.")
        storage = None if path is not None and not is_journal(url) and is_half_made(path) else connect(url)
        try:
            if storage is None:
                raise KeyError(name)
            study_id = storage.get_study_id_from_name(name)
            return StoredStudy(
                trials=storage.get_all_trials(study_id, deepcopy=False),
                maximised=storage.get_study_directions(study_id) == [StudyDirection.MAXIMIZE],
            )
        except KeyError:
            raise MachineError(f"the Optuna study {name!r} is not in its storage any more.") from None
        finally:
            if storage is not None:
                close_storage(storage)


def is_half_made(path: Path) -> bool:
    """Whether an SQLite database has no trial, and not what Optuna writes last when it makes one."""
    if is_empty(path):
        return True
    rows = num_rows(path)
    return not rows.get("alembic_version") and not rows.get("studies")


@contextmanager
def translate_storage_errors(url: str) -> Iterator[None]:
    """Raises errors of an unusable storage as MachineError."""
    try:
        yield
    except (*STORAGE_ERRORS, sqlite3.Error, ImportError, OSError, RuntimeError, ValueError) as error:
        raise storage_error(url, error) from error


def storage_error(url: str, error: BaseException) -> MachineError:
    """The MachineError for what an unusable storage raised."""
    shown = without_password(url)
    reason = str(error.__cause__ or error).partition("\n")[0].rstrip(".").replace(url, shown)
    if "optuna storage upgrade" in reason:
        return MachineError(
            f"the Optuna storage {shown} is of an older Optuna: "
            f"`optuna storage upgrade --storage {shlex.quote(shown)}` makes it one of this Optuna."
        )
    return MachineError(f"the Optuna storage {shown} cannot be used ({reason}): {_advice(reason, error)}")


def _advice(reason: str, error: BaseException) -> str:
    if "disk is full" in reason or "No space left" in reason:
        return "free some space and type the same command again; no trial that is stored is lost."
    if "pip install -U optuna" in reason:
        return "it is of a newer Optuna; install that one, or name another storage with --storage."
    if isinstance(error, ImportError) and "psycopg" in str(error.__cause__ or error):
        return f"its driver is missing; `pip install '{DISTRIBUTION}[postgres]'` installs it."
    if any(sign in reason for sign in ("not a database", "malformed", "it is damaged")):
        return "move the file away and search again, or name another storage with --storage; finished stages are kept."
    return "check --storage, such as sqlite:////data/searches.db or postgresql://user@host/searches."


def _create(path: Path) -> None:
    close_storage(connect(url_of(SQLITE, path)))


def _refuse_database_of_mlflow(url: str) -> None:
    """Refuses a database to which Optuna would add its tables, to find only then that the schema is not its own."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if not {TABLE_OF_MLFLOW, VERSIONS} <= set(sqlalchemy.inspect(connection).get_table_names()):
            return
        revision = connection.execute(sqlalchemy.text(f"SELECT version_num FROM {VERSIONS}")).scalar()
    if not str(revision).startswith("v"):  # Optuna's are such as v3.2.0.a, MLflow's are hexadecimal
        raise InputError(
            f"--storage {without_password(url)} is MLflow's database, and a search's trials need one of their own: "
            "create another, and name it here."
        )


def _check_local(url: str, path: Path) -> None:
    if mount := network_mount(path):
        journal = url_of(JOURNAL, path.with_suffix(".journal"))
        raise InputError(
            f"--storage {url} is on a network file system ({mount}), where machines that write one SQLite database "
            f"destroy it: give a journal, such as {journal}, or a server, such as postgresql://user@host/searches."
        )
