import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.pool import NullPool

from study.tracking.leftovers import send_leftovers
from study.tracking.mlflow_client import Destination
from study.tracking.mlflow_schema import State, newest_revision, read_schema
from study.tracking.uri import default_uri, sqlite_file, sqlite_uri
from tests.study.tracking.tracked import follow, points, runs_of, trials_of, until
from trainers.stage import MachineError

CREATING_SCRIPT = """
import sys
from pathlib import Path
from study.tracking.mlflow_client import Destination
from study.tracking.uri import default_uri
Destination(Path(sys.argv[1]), default_uri(Path(sys.argv[1])))
"""


@pytest.fixture
def quick(empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database is made by copying one."""
    monkeypatch.setattr("study.tracking.mlflow_database._create", partial(shutil.copy, empty_database))


def execute(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def leave_half_made(home: Path) -> None:
    """Leaves the database as a process does that was killed in the middle of a migration, long ago."""
    execute(home / "mlflow.db", "CREATE TABLE _alembic_tmp_jobs (id INTEGER)")
    os.utime(home / "mlflow.db", (0, 0))


def close_connections() -> None:
    """Closes what MLflow keeps open in a process, as its end does."""
    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()


def names(home: Path) -> list[str]:
    return sorted(path.name.partition(".half-made-")[0] for path in home.glob("mlflow.db*"))


def test_a_creation_that_stops_after_any_migration_is_not_taken_for_whole(tmp_path: Path):
    uri = sqlite_uri(tmp_path / "mlflow.db")
    engine = sqlalchemy.create_engine(uri, poolclass=NullPool)
    sqlalchemy.event.listen(engine, "connect", lambda each, _: each.execute("PRAGMA synchronous = OFF"))
    InitialBase.metadata.create_all(engine)
    assert read_schema(uri).state is State.HALF_MADE
    config: Config = utils._get_alembic_config(uri)
    states = {}
    while (schema := read_schema(uri)).revision != newest_revision():
        states[schema.revision] = schema.state
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "+1")
    assert len(states) > 50
    assert set(states.values()) == {State.HALF_MADE}
    assert read_schema(uri).state is State.WHOLE


@pytest.mark.kills
def test_a_database_whose_creation_was_killed_is_created_by_the_next_command(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", CREATING_SCRIPT, tmp_path])
    until(lambda: list(tmp_path.glob("mlflow.db.*.part")), "the creation does not begin")
    process.kill()
    process.wait()
    assert not (tmp_path / "mlflow.db").exists()
    Destination(tmp_path, default_uri(tmp_path))
    assert read_schema(default_uri(tmp_path)).state is State.WHOLE
    assert names(tmp_path) == ["mlflow.db"]


def test_a_creation_that_finds_no_room_is_told_and_leaves_nothing_in_the_way(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
):
    def fail(path: Path) -> None:
        path.write_text("half a database")
        raise sqlalchemy.exc.OperationalError(
            "CREATE TABLE", None, sqlite3.OperationalError("database or disk is full")
        )

    with monkeypatch.context() as patch:
        patch.setattr("study.tracking.mlflow_database._create", fail)
        with pytest.raises(
            MachineError, match=r"mlflow\.db cannot be made \(the disk is full\): see that its disk has room"
        ):
            Destination(tmp_path, default_uri(tmp_path))
    Destination(tmp_path, default_uri(tmp_path))
    assert names(tmp_path) == ["mlflow.db"]


@pytest.mark.parametrize("damage", ["half made", "cut", "nonsense"])
def test_a_damaged_database_is_set_aside_and_a_new_one_gets_what_it_had(
    home: Path, quick: None, damage: str, caplog: pytest.LogCaptureFixture
):
    database = home / "mlflow.db"
    follow(home, trials_of("head"))
    before = points(home, runs_of(home)["head, seed 0"])
    if damage == "half made":
        leave_half_made(home)
    else:
        database.write_bytes(database.read_bytes()[:100_000] if damage == "cut" else b"nonsense" * 1000)
    old = database.read_bytes()
    close_connections()
    send_leftovers(home)
    [aside] = home.glob("mlflow.db.half-made-*")
    assert aside.read_bytes() == old
    [sentence] = caplog.messages
    assert sentence.startswith("MLflow's database was damaged (")
    assert str(aside) in sentence
    runs = runs_of(home)
    assert points(home, runs["head, seed 0"]) == before
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


@pytest.mark.parametrize("content", [b"", bytes(5000)])
def test_an_empty_file_is_replaced_without_a_word(
    tmp_path: Path, quick: None, content: bytes, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "mlflow.db").write_bytes(content)
    Destination(tmp_path, default_uri(tmp_path))
    assert names(tmp_path) == ["mlflow.db"]
    assert not caplog.messages


def test_a_damaged_database_outside_the_home_is_left_where_it_is(home: Path, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("elsewhere") / "runs.db"
    path.write_text("somebody else's" * 1000)
    with pytest.raises(MachineError, match=r"runs\.db is damaged \(file is not a database\): move it away"):
        Destination(home, f"sqlite:///{path}")
    assert list(path.parent.iterdir()) == [path]


def test_an_older_database_is_refused_with_the_command_that_upgrades_it(empty_database: Path, tmp_path: Path):
    home = tmp_path / "it's a?home"
    home.mkdir()
    shutil.copy(empty_database, home)
    older = "UPDATE alembic_version SET version_num = '728d730b5ebd'"
    execute(home / "mlflow.db", older, "INSERT INTO experiments (experiment_id, name) VALUES (7, 'a study')")
    command = f"`mlflow db upgrade {shlex.quote(default_uri(home))}`"
    with pytest.raises(MachineError, match=re.escape(command)):
        Destination(home, default_uri(home))
    assert names(home) == ["mlflow.db"]


def test_a_newer_database_is_refused(home: Path):
    execute(home / "mlflow.db", "UPDATE alembic_version SET version_num = 'of the future'")
    with pytest.raises(MachineError, match=r"does not know \(of the future\): a newer MLflow has made it: install"):
        Destination(home, default_uri(home))


def test_what_cannot_be_a_database_is_refused_at_once(tmp_path: Path):
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(MachineError, match=r"mlflow\.db is a folder, in the place of a database: move it away"):
        Destination(tmp_path, default_uri(tmp_path))
    deep = tmp_path.joinpath(*["a" * 200] * 3)
    deep.mkdir(parents=True)
    with pytest.raises(MachineError, match="its path is too long for SQLite"):
        Destination(deep, default_uri(deep))


@pytest.mark.parametrize("name", ["a?b", "100%", "a%20b", "a#b", "é ü", "a&b=c"])
def test_a_database_is_in_its_home_however_the_home_is_called(
    empty_database: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / name
    home.mkdir()
    shutil.copy(empty_database, home)
    uri = default_uri(home)
    assert sqlite_file(uri) == home / "mlflow.db"
    follow(home, trials_of("public"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_a_database_of_searches_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "one.db"
    execute(
        path,
        "CREATE TABLE version_info (version_info_id INTEGER)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('v3.2.0.a')",
    )
    before = path.read_bytes()
    with pytest.raises(MachineError, match=r"one.db holds Optuna's trials, and MLflow needs one of its own: create"):
        Destination(tmp_path, sqlite_uri(path))
    assert path.read_bytes() == before
