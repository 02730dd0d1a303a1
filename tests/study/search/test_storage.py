"""Optuna's storage: its URL, its password, and its errors."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from study.home.request import Request
from study.search.home_storage import storage_url
from study.search.request import SearchRequest
from study.search.storage import absolute_url, connect, read_trials, url_of, without_password
from tests.study.search.stub_search import SEARCH, Conditions, on_nfs, open_study
from trainers.stage import InputError, MachineError


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "postgresql://nobody@localhost:1/none"])
def test_a_storage_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, url: str):
    advice = "(check --storage|its driver is missing)"
    with pytest.raises(MachineError, match=f"the Optuna storage {url} cannot be used .*: {advice}"):
        open_study(tmp_path, SEARCH.bind(Conditions()), url=url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/searches", "postgresql://me:***@host/searches"),
        ("postgresql://me:sec:ret@host:port/searches", "postgresql://me:***@host:port/searches"),
        ("postgres//me:secret@host/searches", "postgres//me:***@host/searches"),
        ("postgresql:///searches?password=secret&user=me", "postgresql:///searches?password=***&user=me"),
    ],
)
def test_a_password_is_not_shown(tmp_path: Path, url: str, shown: str):
    assert without_password(url) == shown
    with pytest.raises(MachineError) as raised:
        open_study(tmp_path, SEARCH.bind(Conditions()), url=url)
    assert shown in str(raised.value)
    assert "ret@" not in str(raised.value)


def test_a_relative_path_of_sqlite_is_made_absolute_and_other_databases_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert absolute_url("sqlite:///s.db") == f"sqlite:///{tmp_path / 's.db'}"
    assert (
        absolute_url("sqlite+pysqlite:///a folder/s.db?timeout=9")
        == f"sqlite+pysqlite:///{tmp_path}/a folder/s.db?timeout=9"
    )
    for url in (
        "sqlite:////data/s.db",
        "postgresql://me:sec%40ret@host/searches",
    ):
        assert absolute_url(url) == url
    search_request = SearchRequest(request=Request(study="stub", scale="demo"), num_trials=1, storage="sqlite:///s.db")
    assert f"--storage sqlite:///{tmp_path}/s.db" in search_request.command()


@pytest.mark.parametrize("url", ["searches", "sqlite", "postgresql://user:secret@host:port/searches"])
def test_what_is_no_url_is_refused_before_a_search_begins(url: str):
    with pytest.raises(InputError, match="is no URL of a database: give one, such as") as refused:
        absolute_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:s.db?uri=true"])
def test_a_database_that_would_not_outlive_its_process_or_is_no_path_is_refused(url: str):
    with pytest.raises(InputError, match=r"--storage sqlite:.* names no file by its path"):
        absolute_url(url)


@pytest.mark.parametrize("name", ["a?b", "a%3Fb", "100%", "a#b", "a b", "Größe", "{x}", "a&b=c", "a@b:c"])
def test_a_home_may_have_any_name(tmp_path: Path, name: str):
    home = tmp_path / name
    home.mkdir()
    with open_study(home, SEARCH.bind(Conditions())) as optuna_study:
        optuna_study.ask()
    assert [path.name for path in home.iterdir()] == ["optuna.db"]
    assert len(read_trials("stub", storage_url(home))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_database_that_a_killed_process_left_half_made_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    database = tmp_path / "optuna.db"
    for half_made in (b"", bytes(4096), _stopped_after_the_third_table(tmp_path / "half.db")):
        database.unlink(missing_ok=True)
        database.write_bytes(half_made)
        with pytest.raises(MachineError, match="the Optuna study 'stub' is not in its storage"):
            read_trials("stub", storage_url(tmp_path))
        assert database.read_bytes() == half_made
        with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
            optuna_study.ask()
        assert f"{database} was left half made" in caplog.messages[-1]
        (aside,) = tmp_path.glob("optuna.db.half-made-*")
        assert aside.read_bytes() == half_made
        aside.unlink()


def _stopped_after_the_third_table(path: Path) -> bytes:
    connect(url_of("sqlite", path)).engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables[3:]:
            connection.execute(f"DROP TABLE {table}")
    return path.read_bytes()


def test_a_kill_while_a_database_is_made_leaves_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("optuna.storages._rdb.storage._VersionManager._init_alembic", killed)
        with pytest.raises(KeyboardInterrupt):
            open_study(tmp_path, SEARCH.bind(Conditions()))
    assert not (tmp_path / "optuna.db").exists()
    with open_study(tmp_path, SEARCH.bind(Conditions())):
        assert [path.name for path in tmp_path.iterdir()] == ["optuna.db"]


def test_what_to_do_about_a_storage_is_said(tmp_path: Path):
    database, space = tmp_path / "optuna.db", SEARCH.bind(Conditions())
    database.write_text("no database at all, but long enough to look like one" * 100)
    with pytest.raises(MachineError, match=r"file is not a database.*: move the file away and search again"):
        open_study(tmp_path, space)
    database.unlink()
    open_study(tmp_path, space).__exit__(None, None, None)
    for version, advice in (
        ("v3.0.0.a", f"`optuna storage upgrade --storage sqlite:///{database}`"),
        ("v99", "it is of a newer Optuna; install that one"),
    ):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
            connection.commit()
        with pytest.raises(MachineError, match=re.escape(advice)):
            open_study(tmp_path, space)


def test_sqlite_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    on_nfs(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=rf"nfs4 at {tmp_path}\).*such as journal:///{tmp_path}/team.journal, or"):
        open_study(tmp_path, SEARCH.bind(Conditions()), url=f"sqlite:///{tmp_path}/team.db")
    with open_study(tmp_path, SEARCH.bind(Conditions()), url=f"journal:///{tmp_path}/team.journal") as optuna_study:
        optuna_study.ask()
    assert {path.name for path in tmp_path.iterdir()} == {"team.journal", "team.journal.lock"}


def test_a_database_of_mlflow_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "one.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('1bd49d398cd23')")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"one.db is MLflow's database, and .* need one of their own"):
        open_study(tmp_path, SEARCH.bind(Conditions()), url=url_of("sqlite", path))
    assert path.read_bytes() == before


def test_a_database_of_searches_stays_theirs_when_mlflow_has_left_tables_there(tmp_path: Path):
    path = tmp_path / "one.db"
    with open_study(tmp_path, SEARCH.bind(Conditions()), url=url_of("sqlite", path)):
        pass
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    with open_study(tmp_path, SEARCH.bind(Conditions()), url=url_of("sqlite", path)) as optuna_study:
        assert optuna_study.trials() == []
