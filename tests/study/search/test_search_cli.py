"""The command `search` on real stages of a tiny size, its report, and what MLflow and Optuna know of each other."""

import json
import re
import shutil
import signal
import sqlite3
import threading
import time
import traceback
from pathlib import Path

import optuna
import pytest

from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES, SUITES
from study.cli import search_planning
from study.cli.search_planning import PlannedSearch
from study.cli.search_run import exclusive
from study.home.request import Request
from study.search.optuna_study import runs_of
from study.search.request import SearchRequest, remember_search
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, start, tiny_settings
from trainers.data.synthetic.videos import synthesize
from trainers.stage import InputError

SEARCH = ("search", "distilled", "--local", *HERE)
NAME = "distilled tiny corrected tiny"
EVERYTHING = (
    "distillation_weight=1",
    "temperature=0.1",
    "teacher_temperature=0.1",
    "queue_size=8",
    "momentum=0.9",
    "teacher_trains=none",
)
PATIENCE_SECONDS = 300
pytestmark = pytest.mark.usefixtures("tiny_scale")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a search was interrupted in its first trial, and then went on to its third."""
    home = tmp_path_factory.mktemp("home")
    synthesize(home / "videos", num_videos=6, minutes=0.1, width=96, height=64)
    with tiny_settings():
        ingested = called(home, "ingest", "cholec80", str(home / "videos"), "--name", "tiny", "--scale", "tiny")
        assert ingested.exit_code == 0, ingested.output
        process = start(home, *SEARCH, "--trials", "3")
        assert process.stdout is not None
        said = next(line for line in process.stdout if "trial 0 begins" in line)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130, said + rest + errors
        assert f"To go on, type: freelunch --home {home} search distilled" in rest + errors
        shutil.copy(report(home) / "search.json", home / "interrupted.json")
        went_on = called(home, *SEARCH, "--trials", "3")
    assert went_on.exit_code == 0, went_on.output
    (home / "said.txt").write_text(went_on.output)
    return home


def report(home: Path) -> Path:
    return home / "studies" / "search-distilled" / "corrected-tiny-tiny"


def data(home: Path) -> dict:
    return json.loads((report(home) / "search.json").read_text())


def rows(home: Path, query: str) -> list[tuple]:
    with sqlite3.connect(home / "mlflow.db") as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


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
    assert "on validation videos alone; no stage of the search has a test video among its inputs" in text
    assert "Type it once" in text
    assert "figures/history.svg" in text
    for name in ("history", "curves", "slices"):
        assert (report(searched) / "figures" / f"{name}.svg").stat().st_size > 1000
    assert (report(searched) / "report.html").read_text().count("<figure>") == 3


def test_the_printed_command_evaluates_the_winner_and_trains_nothing(searched: Path):
    said = (searched / "said.txt").read_text()
    command = re.search(r"evaluate the best on the test videos, once: freelunch --home \S+ run (.*)", said)
    assert command
    plan = called(searched, "plan", *command.group(1).split(), "--json")
    assert plan.exit_code == 0, plan.output
    missing = [stage["title"].split()[0] for stage in json.loads(plan.output)["missing"]]
    assert {"Evaluate", "PredictPhases"} <= set(missing) <= {"Evaluate", "PredictPhases", "EncoderFeatures", "Video"}


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


def test_two_first_searches_of_a_home_are_one_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ids: list[str] = []
    other = threading.Thread(target=lambda: ids.append(search_planning._driver_id(tmp_path)))
    draw = search_planning.uuid.uuid4

    def drawn_while_another_begins() -> object:
        monkeypatch.setattr(search_planning.uuid, "uuid4", draw)
        other.start()
        other.join(1)  # it ends here only where nothing holds it up
        return draw()

    monkeypatch.setattr(search_planning.uuid, "uuid4", drawn_while_another_begins)
    ids.append(search_planning._driver_id(tmp_path))
    other.join(PATIENCE_SECONDS)
    assert len(ids) == 2
    assert ids[0] == ids[1] == search_planning._driver_id(tmp_path)


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


def test_two_processes_do_not_work_at_one_search(searched: Path):
    search_request = SearchRequest(request=Request(study="distilled", scale="tiny", dataset="tiny"), num_trials=3)
    first, second = PlannedSearch(searched, search_request), PlannedSearch(searched, search_request)
    with exclusive(first), pytest.raises(InputError, match="another process is at search distilled"), exclusive(second):
        pass


@pytest.mark.kills
def test_a_killed_search_goes_on_in_the_run_of_the_trial_that_it_had_begun(searched: Path, tmp_path: Path):
    home, command = tmp_path / "home", (*SEARCH, "--trials", "4")
    shutil.copytree(searched, home)
    journals = "mlflow/spool/search-distilled/*/*/sent.json"
    num_before = len(list(home.glob(journals)))
    process, deadline = start(home, *command), time.monotonic() + PATIENCE_SECONDS
    while len(list(home.glob(journals))) == num_before:
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    went_on = called(home, *command)
    assert went_on.exit_code == 0, went_on.output
    last = "select run_uuid from tags where key = 'freelunch.optuna_trial' and value = '3'"
    states = f"select value from tags where key = 'freelunch.state' and run_uuid in ({last})"
    [(state,)] = rows(home, states)
    assert state.startswith(("completed", "stopped early"))


def test_a_search_is_listed_with_its_ranges_and_what_evaluates_it(tmp_path: Path):
    (search,) = json.loads(called(tmp_path, "list", "--json").output)["searches"]
    assert (search["name"], search["evaluated_in"]) == ("distilled", "table3")
    assert search["objective"] == "accuracy on validation videos, %"
    assert search["space"]["queue_size"] == "powers of two from 1 to 64, times batch size"
    listed = called(tmp_path, "list").output
    assert "distilled" in listed
    assert "from 0.1 to 50, logarithmic" in " ".join(listed.split())


def test_searches_have_names_that_no_study_has():
    assert not SEARCHES.keys() & {*STUDIES, *SUITES}


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


def test_status_says_how_far_a_search_is(searched: Path):
    for told in (called(searched, "status").output, called(searched, "status", "distilled").output):
        assert "distilled (search): 3 of 3 trials: " in told
        assert "best so far: " in told
        assert "next:" not in told
    record = json.loads(called(searched, "status", "--json").output)["distilled"]
    trials = data(searched)["trials"]
    assert sum(record["states"].values()) == record["asked"] == 3
    assert record["best"]["value"] == max(trial["value"] for trial in trials if trial["value"] is not None)
    assert record["drivers"] == []
    assert not record["resumable"]


def test_the_report_of_a_search_is_written_again_and_the_same(searched: Path):
    before = data(searched)
    (report(searched) / "search.json").unlink()
    reported = called(searched, "report", "distilled")
    assert reported.exit_code == 0, reported.output
    assert "best of 3 trials: trial " in reported.output
    assert data(searched) == before


def test_the_stages_of_a_searchs_trial_are_found_by_its_number(searched: Path):
    assert "Pretrain DistilledMoCo" in called(searched, "logs", "distilled/trial 0").output
    assert "has no row 'trial 9'" in called(searched, "logs", "distilled/trial 9").stderr


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


@pytest.mark.kills
def test_a_running_search_is_seen_and_stopped_from_another_terminal(searched: Path, tmp_path: Path):
    home, command = tmp_path / "home", (*SEARCH, "--no-mlflow", "--trials", "40")
    shutil.copytree(searched, home)
    process = start(home, *command)
    assert process.stdout is not None
    printed: list[str] = []
    for line in process.stdout:
        printed.append(line)
        if "trial 3 begins" in line:
            break
    try:
        status = called(home, "status", "distilled")
        reported = called(home, "report", "distilled")
        stopped = called(home, "stop", "distilled")
        rest, errors = process.communicate(timeout=PATIENCE_SECONDS)
    except BaseException:
        process.kill()
        pytest.fail(f"{traceback.format_exc()}\nthe search: {''.join(printed)}{process.communicate()}")
    afterwards = called(home, "status", "distilled")
    commands = {"status": status, "report": reported, "stop": stopped, "status afterwards": afterwards}
    all_said = f"\nthe search, ended with {process.returncode}:\n{''.join(printed)}{rest}{errors}" + "".join(
        f"\n{name}, ended with {result.exit_code}:\n{result.output}" for name, result in commands.items()
    )
    assert any("trial 3 begins" in line for line in printed), all_said
    assert f"as process {process.pid} on" in status.output, all_said
    assert f"freelunch --home {home} stop distilled" in status.output, all_said
    assert "next:" not in status.output, all_said
    assert reported.exit_code == 0, f"while it runs, too{all_said}"
    assert process.returncode == 130, all_said
    goes_on = [line for line in stopped.output.splitlines() if line.startswith("next: ")]
    assert len(goes_on) == 1, all_said
    assert goes_on[0].startswith(f"next: freelunch --home {home} search distilled --trials 40 --local"), all_said
    assert goes_on[0] in afterwards.output, all_said
