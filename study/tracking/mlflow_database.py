"""Database of an MLflow, looked at before MLflow opens it: made whole, set aside where it is damaged, or refused."""

import logging
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import sqlalchemy
from sqlalchemy.pool import NullPool

from study.home.databases import create_whole, damage, is_empty
from study.tracking.faults import MLflowError, reason_of
from study.tracking.mlflow_schema import Schema, State, newest_revision, read_schema
from study.tracking.uri import default_uri, shown, sqlite_file, sqlite_uri

ATTEMPTS_TO_CONNECT = 2
SETTLE_SECONDS, POLL_SECONDS = 3.0, 0.25
LONGEST_PATH_BYTES = 450
"""SQLite takes 512 bytes, of which the names of files beside the database need some."""
EMPTY, HALF_MADE = "it is empty", "its schema was not made to its end"
_log = logging.getLogger(__name__)


def limit_attempts() -> None:
    """Makes MLflow give a database up soon that has gone since it was looked at; its own ten attempts take minutes."""
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = ATTEMPTS_TO_CONNECT


def prepare_database(home: Path, uri: str, before_creation: Callable[[], None]) -> None:
    """Makes sure that MLflow can open a database at once.

    An SQLite file is made where it is missing or empty. A damaged one is set aside where it is the home's own, and
    refused where it is not.

    Args:
        home: the home folder.
        uri: the tracking URI of the database.
        before_creation: called before a new file gets its name.

    Raises:
        MachineError: MLflow cannot use the database.
    """
    if (path := sqlite_file(uri)) is not None:
        try:
            _prepare_file(path, before_creation, is_ours=uri == default_uri(home))
        except (OSError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise MLflowError(f"MLflow's database {path} cannot be made ({reason_of(error)})", _advice(path)) from error
    _refuse_other_versions(uri, read_schema(uri))


def _prepare_file(path: Path, before_creation: Callable[[], None], *, is_ours: bool) -> None:
    faults = [""]

    def is_useless(existing: Path) -> bool:
        faults.append(_fault(existing))
        if faults[-1] not in ("", EMPTY) and not is_ours:
            raise MLflowError(f"MLflow's database {existing} is damaged ({faults[-1]})", "move it away")
        return bool(faults[-1])

    def create(temporary: Path) -> None:
        _create(temporary)
        before_creation()

    aside = create_whole(path, create, is_useless)
    if aside is not None and faults[-1] == EMPTY:
        aside.unlink()
    elif aside is not None:
        _log.warning(
            "MLflow's database was damaged (%s) and is now %s; a new one gets what this home still has.",
            faults[-1],
            aside,
        )


def _fault(path: Path) -> str:
    """The fault of an existing file for which another has to be made; empty where it has none.

    Another program may be making it in its place: then its schema changes.
    """
    if fault := damage(path):
        return EMPTY if is_empty(path) else fault
    while (state := read_schema(sqlite_uri(path)).state) is State.HALF_MADE:
        if time.time() - path.stat().st_mtime > SETTLE_SECONDS:
            return HALF_MADE
        time.sleep(POLL_SECONDS)
    return EMPTY if state is State.EMPTY else ""


def _create(path: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables

    engine = sqlalchemy.create_engine(sqlite_uri(path), poolclass=NullPool)
    sqlalchemy.event.listen(engine, "connect", _write_without_waiting)
    _initialize_tables(engine)  # type: ignore[no-untyped-call]


def _write_without_waiting(connection: Connection, record: object) -> None:
    """Makes SQLite leave to `create_whole` that everything reaches the disk."""
    connection.execute("PRAGMA synchronous = OFF")


def _refuse_other_versions(uri: str, schema: Schema) -> None:
    import mlflow

    state, version = schema.state, mlflow.__version__
    if state is State.OLDER:
        raise MLflowError(
            f"MLflow's database {shown(uri)} has the schema of an older MLflow ({schema.revision}, and MLflow "
            f"{version} needs {newest_revision()})",
            f"make a copy of it, then run `mlflow db upgrade {_in_a_shell(uri)}`",
        )
    if state is State.OF_SEARCHES:
        raise MLflowError(
            f"the database {shown(uri)} holds Optuna's trials, and MLflow needs one of its own",
            "create another, and name it in MLFLOW_TRACKING_URI",
        )
    if state is State.NEWER:
        raise MLflowError(
            f"MLflow's database {shown(uri)} has a schema that MLflow {version} does not know ({schema.revision}): a "
            "newer MLflow has made it",
            "install that version, or name another database in MLFLOW_TRACKING_URI",
        )


def _in_a_shell(uri: str) -> str:
    """A URI as an argument of a command; one with a password stays in its variable."""
    return '"$MLFLOW_TRACKING_URI"' if sqlite_file(uri) is None else shlex.quote(uri)


def _advice(path: Path) -> str:
    if len(os.fsencode(path)) > LONGEST_PATH_BYTES:
        return "its path is too long for SQLite, so name a folder with a shorter one"
    return "see that its disk has room, and that you may write to its folder"
