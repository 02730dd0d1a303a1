"""Optuna's storage: its URL, its password, and its errors."""

from pathlib import Path

import pytest

from study.home.request import Request
from study.search.request import SearchRequest
from study.search.storage import absolute_url, without_password
from tests.study.search.stub_search import SEARCH, Conditions, open_study
from trainers.stage import InputError, MachineError


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "postgresql://nobody@localhost:1/none"])
def test_a_storage_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, url: str):
    with pytest.raises(MachineError, match=f"the Optuna storage {url} cannot be used .*: check --storage"):
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
        "nonsense",
        "postgresql://host:port/x",
    ):
        assert absolute_url(url) == url
    search_request = SearchRequest(request=Request(study="stub", scale="demo"), num_trials=1, storage="sqlite:///s.db")
    assert f"--storage sqlite:///{tmp_path}/s.db" in search_request.command()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:s.db?uri=true"])
def test_a_database_that_would_not_outlive_its_process_or_is_no_path_is_refused(url: str):
    with pytest.raises(InputError, match=r"--storage sqlite:.* names no file by its path"):
        absolute_url(url)
