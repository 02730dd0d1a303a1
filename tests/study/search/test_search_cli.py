"""The command `search` on real stages of a tiny size, its report, and what MLflow and Optuna know of each other."""

import json
import re
import shutil
from pathlib import Path

import optuna
import pytest

from study.search.optuna_study import runs_of
from tests.study.search.searched_home import NAME, SEARCH, data, report, rows
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE

pytestmark = [pytest.mark.usefixtures("tiny_scale", "no_pictures"), pytest.mark.xdist_group("search")]


def test_an_interrupted_search_goes_on_with_its_trial(searched: Path):
    said = (searched / "said.txt").read_text()
    assert "3 trials; 1 of them are known from earlier runs" in said
    assert "trial 0 goes on" in said
    assert "trial 2 begins" in said
    trials = data(searched)["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2]
    assert {trial["state"] for trial in trials} <= {"completed", "stopped early"}


def test_an_interrupted_search_leaves_a_report(searched: Path):
    trials = json.loads((searched / "interrupted.json").read_text())["trials"]
    assert [(trial["number"], trial["state"]) for trial in trials] == [(0, "not finished")]


def test_the_report_says_what_was_selected_on_what(searched: Path):
    text = (report(searched) / "report.md").read_text()
    assert "by this value alone; no stage of the search has a test video among its inputs" in text
    assert "valued over 3 folds of 3 labelled videos (1 of them for validation)" in text
    assert "Type it once" in text
    assert "figures/history.svg" in text
    for name in ("history", "curves", "slices"):
        assert (report(searched) / "figures" / f"{name}.svg").stat().st_size > 1000
    assert (report(searched) / "report.html").read_text().count("<figure>") == 3


def test_the_printed_command_evaluates_the_winner_and_trains_no_student(searched: Path):
    said = (searched / "said.txt").read_text()
    command = re.search(r"evaluate the best on the test videos, once: freelunch --home \S+ run (.*)", said)
    assert command
    plan = called(searched, "plan", *command.group(1).split(), "--json")
    assert plan.exit_code == 0, plan.output
    missing = [stage["title"].split()[0] for stage in json.loads(plan.output)["missing"]]
    after_the_student = {"Evaluate", "PredictPhases", "TrainTemporal", "FineTune", "EncoderFeatures", "Video"}
    assert {"Evaluate", "PredictPhases", "TrainTemporal"} <= set(missing) <= after_the_student


def test_mlflow_has_a_run_for_the_search_and_one_below_it_for_every_trial(searched: Path):
    runs = dict(rows(searched, "select run_uuid, status from runs"))
    tags: dict[str, dict[str, str]] = {}
    for run, name, value in rows(searched, "select run_uuid, key, value from tags"):
        tags.setdefault(run, {})[name] = value
    trials = {tags[run]["freelunch.optuna_trial"]: run for run in runs if "freelunch.optuna_trial" in tags[run]}
    parents = runs.keys() - trials.values()
    assert len(parents) == 1
    assert {tags[run]["mlflow.parentRunId"] for run in trials.values()} == parents
    assert [runs[parent] for parent in parents] == ["FINISHED"]
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{searched / 'optuna.db'}")
    for trial in study.get_trials():
        run = trials[str(trial.number)]
        assert runs_of(study)[trial.number] == run
        assert runs[run] == ("FINISHED" if trial.state.name == "COMPLETE" else "KILLED")
        assert tags[run]["freelunch.optuna_study"] == NAME
        assert tags[run]["freelunch.state"].startswith("completed" if trial.state.name == "COMPLETE" else "stopped")
    values = dict(rows(searched, "select run_uuid, value from metrics where key like 'val%'"))
    assert values == {
        trials[str(t["number"])]: pytest.approx(t["value"]) for t in data(searched)["trials"] if t["value"] is not None
    }


def test_the_same_command_again_computes_nothing(searched: Path, tmp_path: Path):
    home = Path(shutil.copytree(searched, tmp_path / "home"))
    before = data(home)["trials"]
    again = called(home, *SEARCH, "--trials", "3", "--no-mlflow")
    assert again.exit_code == 0, again.output
    assert "begins" not in again.output
    without_ray = called(home, "search", "distilled", *HERE, "--trials", "2", "--no-mlflow")
    assert without_ray.exit_code == 0, without_ray.output
    assert data(home)["trials"] == before


def test_a_storage_with_a_relative_path_is_the_same_in_every_directory(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home, here, elsewhere = tmp_path / "home", tmp_path / "here", tmp_path / "elsewhere"
    shutil.copytree(searched, home)
    for folder in (here, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(here)
    first = called(home, *SEARCH, "--trials", "1", "--no-mlflow", "--storage", "sqlite:///s.db")
    assert first.exit_code == 0, first.output
    before = data(home)["trials"]
    assert len(before) == 1
    monkeypatch.chdir(elsewhere)
    for command in ("status", "report"):
        told = called(home, command, "distilled")
        assert told.exit_code == 0, told.output
    assert data(home)["trials"] == before
    assert (here / "s.db").is_file()
    assert not list(elsewhere.iterdir())


def test_a_label_fraction_that_was_raised_is_told_at_the_start_and_in_the_report(searched: Path, tmp_path: Path):
    home = Path(shutil.copytree(searched, tmp_path / "home"))
    none = ("--hours", "1e-9")  # in which no trial begins
    raised = called(home, *SEARCH, "--no-mlflow", *none, "--set", "label_fraction=0.05")
    assert raised.exit_code == 0, raised.output
    (path,) = (home / "studies" / "search-distilled").glob("*label_fraction*/search.json")
    context = json.loads(path.read_text())["context"]
    for told in (raised.output, context["notes"]):
        assert re.search(r"label_fraction 0\.05 takes \d of \d training videos with seed 0 instead of 1", told), told
    assert "label_fraction 0" not in called(home, *SEARCH, "--no-mlflow", *none).output
