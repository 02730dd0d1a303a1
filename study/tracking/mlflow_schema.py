"""Schema of an MLflow database: whole, half made, or of another version of MLflow."""

import functools
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import sqlalchemy
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.pool import NullPool

DEFAULT_EXPERIMENT = 0
TABLE_OF_OPTUNA = "version_info"


class State(Enum):
    """State of a database's schema."""

    EMPTY = auto()
    WHOLE = auto()
    HALF_MADE = auto()
    OLDER = auto()
    NEWER = auto()
    OF_SEARCHES = auto()


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Schema of a database.

    Attributes:
        revision: the last migration that was made; empty before the first.
        tables: the names of its tables.
        is_used: whether it holds an experiment beside the one that MLflow makes by itself, or a run.
    """

    revision: str
    tables: frozenset[str]
    is_used: bool

    @property
    def state(self) -> State:
        """The state, as seen by the MLflow that is installed.

        A migration of SQLite that is interrupted leaves its temporary tables, and one that made the database leaves an
        earlier revision and no runs.
        """
        if all(table.startswith("alembic_") for table in self.tables):
            return State.EMPTY
        if any(table.startswith("_alembic_tmp_") for table in self.tables) or not self.revision:
            return State.HALF_MADE
        if self.revision == newest_revision():
            return State.WHOLE if _expected_tables() <= self.tables else State.HALF_MADE
        if not _is_known(self.revision):
            return State.OF_SEARCHES if TABLE_OF_OPTUNA in self.tables else State.NEWER
        return State.OLDER if self.is_used else State.HALF_MADE


def read_schema(uri: str) -> Schema:
    """The schema of a database.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: it cannot be read.
    """
    engine = sqlalchemy.create_engine(uri, poolclass=NullPool)
    with engine.connect() as connection:
        tables = frozenset(sqlalchemy.inspect(connection).get_table_names())
        revision = MigrationContext.configure(connection).get_current_revision() or ""
        return Schema(revision=revision, tables=tables, is_used=_is_used(connection, tables))


def newest_revision() -> str:
    """The revision of the MLflow that is installed."""
    return str(_migrations().get_current_head())


def _is_used(connection: sqlalchemy.Connection, tables: frozenset[str]) -> bool:
    conditions = {"runs": "1 = 1", "experiments": f"experiment_id <> {DEFAULT_EXPERIMENT}"}
    queries = [f"SELECT 1 FROM {table} WHERE {condition}" for table, condition in conditions.items() if table in tables]
    return any(connection.execute(sqlalchemy.text(query)).first() for query in queries)


def _expected_tables() -> frozenset[str]:
    import mlflow.store.db.utils  # noqa: F401 (names the tables of every part of MLflow)
    from mlflow.store.db.base_sql_model import Base

    return frozenset(Base.metadata.tables)


def _is_known(revision: str) -> bool:
    try:
        return _migrations().get_revision(revision) is not None
    except CommandError:
        return False


@functools.cache  # they are files of Python, each of which is run to be read
def _migrations() -> ScriptDirectory:
    import mlflow

    config = Config()
    config.set_main_option(
        "script_location", str(Path(mlflow.__file__).parent / "store" / "db_migrations").replace("%", "%%")
    )
    return ScriptDirectory.from_config(config)
