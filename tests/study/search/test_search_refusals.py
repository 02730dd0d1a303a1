"""What the command `search` refuses: requests, storages, trials that failed."""

import shutil
from pathlib import Path

import pytest

from study.home.request import Request
from study.search.request import SearchRequest, remember_search
from tests.study.search.searched_home import NAME, SEARCH
from tests.study.tiny_cli import called

pytestmark = [pytest.mark.usefixtures("tiny_scale", "no_pictures"), pytest.mark.xdist_group("search")]


EVERYTHING = (
    "distillation_weight=1",
    "temperature=0.1",
    "teacher_temperature=0.1",
    "queue_size=8",
    "momentum=0.9",
    "teacher_trains=none",
)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["search", "distiled"], "error: no search named 'distiled'; did you mean 'distilled'?"),
        ([*SEARCH, "--set", "tau=1"], "error: recipe distilled has no hyperparameter 'tau'"),
        ([*SEARCH, "--set", "temperature=hot"], "error: temperature=hot does not fit: temperature takes a number"),
        ([*SEARCH, "--preset", "official_code"], "error: this preset, or the recipe, trains or chooses models"),
        ([*SEARCH, "--preset", "paper"], "error: a search needs validation videos"),
        ([*SEARCH, "--seed", "7"], f"error: the Optuna study '{NAME}' in sqlite:"),
        (
            [*SEARCH, *(f"--set={setting}" for setting in EVERYTHING)],
            "error: search distilled has nothing to search",
        ),
    ],
)
def test_what_cannot_be_searched_is_told_in_a_sentence(searched: Path, arguments: list[str], sentence: str):
    result = called(searched, *arguments)
    assert result.exit_code == 2, result.output
    assert sentence in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_storage_that_is_away_is_the_machines_fault(searched: Path):
    result = called(searched, *SEARCH, "--storage", "sqlite:////nowhere/at/all.db")
    assert result.exit_code == 3
    assert "error: the Optuna storage sqlite:////nowhere/at/all.db cannot be used" in result.output


def test_a_storage_that_is_no_file_is_refused(searched: Path):
    result = called(searched, *SEARCH, "--storage", "sqlite:///:memory:")
    assert result.exit_code == 2
    assert "error: --storage sqlite:///:memory: names no file" in result.output


def test_a_storages_password_is_neither_printed_nor_kept(searched: Path):
    url = "postgresql://me:secret@localhost:1/searches"
    result = called(searched, *SEARCH, "--storage", url)
    assert result.exit_code == 3
    assert "secret" not in result.output
    search_request = SearchRequest(
        request=Request(study="distilled", scale="tiny", dataset="tiny"), num_trials=3, storage=url
    )
    assert "--storage 'postgresql://me:***@localhost:1/searches'" in search_request.command()


def test_a_search_with_trials_that_failed_ends_with_1(searched: Path, tmp_path: Path):
    home = Path(shutil.copytree(searched, tmp_path / "home"))
    failing = called(home, *SEARCH, "--trials", "1", "--set", "learning_rate=1e9", "--no-mlflow")
    assert "trial 0 failed: " in failing.output
    assert failing.exit_code == 1, failing.output
    assert "Pretrain DistilledMoCo" in called(home, "logs", "distilled/trial 0").output
    again = called(home, *SEARCH, "--trials", "1", "--set", "learning_rate=1e9", "--no-mlflow")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "distilled"), "'distilled' is a search, not a study: `freelunch --home {home} search distilled`"),
        (("search", "table3"), "'table3' is a study, not a search: `freelunch --home {home} run table3`"),
        (("status", "distilled"), "search 'distilled' has not been run in {home}: `freelunch --home {home} search"),
        (("report", "distilled"), "search 'distilled' has not been run"),
        (("stop", "distilled"), "no run of distilled is going on in {home}: `freelunch --home {home} status`"),
    ],
)
def test_what_is_no_search_or_was_not_run_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str):
    refused = called(tmp_path, *arguments)
    assert refused.exit_code == 2
    assert sentence.format(home=tmp_path) in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_search_whose_storage_has_gone_is_one_sentence(searched: Path, tmp_path: Path):
    home = Path(shutil.copytree(searched, tmp_path / "home"))
    (home / "optuna.db").unlink()
    for command in ("status", "report"):
        refused = called(home, command, "distilled")
        assert refused.exit_code == 3
        assert "optuna.db is not there, which held the trials of 'distilled tiny corrected tiny'" in refused.stderr
        assert not (home / "optuna.db").exists()


def test_a_storage_whose_password_is_not_kept_is_one_sentence(tmp_path: Path):
    search_request = SearchRequest(
        request=Request(study="distilled", scale="tiny"), num_trials=3, storage="postgresql://me:secret@host/searches"
    )
    remember_search(search_request, tmp_path)
    assert "secret" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    for command in ("status", "report"):
        refused = called(tmp_path, command, "distilled")
        assert refused.exit_code == 3
        assert "in postgresql://me:***@host/searches, whose password is not kept" in refused.stderr
        assert f"`freelunch --home {tmp_path} search distilled --trials 3 --storage" in refused.stderr
