import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run

from study.core.graph import key
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.study import Study, Trial
from study.execution.local import run
from study.home.request import Request
from study.report.study_report import write_report
from study.search.in_process import search_locally
from study.search.loop import SearchLoop
from study.search.observer import SearchObserver
from study.search.tracker import SearchTracker
from study.tracking.journal import Journal, UnreachableError, spool_folder
from study.tracking.leftovers import leftovers, send_leftovers
from study.tracking.mlflow_client import Destination
from study.tracking.saved_view import VIEW_TAG
from study.tracking.server import start_server, stop_server, wait_until_healthy
from study.tracking.tracker import Tracker
from study.tracking.uri import default_uri
from tests.study import small_study
from tests.study.search.searched import SEARCH, Conditions, open_study
from tests.study.small_study import CONTEXT, STUDY
from trainers.stage import InputError, MachineError, Resources

REQUEST = Request(study="tiny", scale="demo")
KILLED_SCRIPT = """
import sys, time
from pathlib import Path
from tests.study.tracking.test_tracker import tracker, trials_of
with tracker(Path(sys.argv[1]), trials_of("head", "none")):
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making the schema takes seconds, so it is made once."""
    home = tmp_path_factory.mktemp("empty")
    Destination(home, default_uri(home))
    return home / "mlflow.db"


@pytest.fixture
def home(empty_database: Path, tmp_path: Path) -> Path:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


def trials_of(*rows: str, study: Study = STUDY, **settings: object) -> tuple[Trial, ...]:
    return study.trials(3, only=rows, settings=settings)


def tracker(
    home: Path,
    trials: tuple[Trial, ...],
    *,
    uri: str | None = None,
    study: Study = STUDY,
    request: Request = REQUEST,
    is_alone: bool = True,
    said: list[str] | None = None,
) -> Tracker:
    store = Store(home)
    return Tracker(
        home=home,
        study=study,
        request=request,
        trials=trials,
        plan=make_plan(trials, store),
        store=store,
        context=CONTEXT,
        uri=uri,
        is_alone=is_alone,
        say=[].append if said is None else said.append,
    )


def follow(home: Path, trials: tuple[Trial, ...], *, uri: str | None = None, study: Study = STUDY) -> None:
    """Runs a study with its tracker and its report, as the command line does."""
    store = Store(home)
    with tracker(home, trials, uri=uri, study=study) as observer:
        outcome = run(make_plan(trials, store), store, lambda stage: Resources(), observer)
        problems = {
            t.number: f.sentence for t in trials for f in outcome.failures.values() if not store.find(key(t.stage))
        }
        folder = REQUEST.folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        write_report(study, trials, store, folder, context=CONTEXT, problems=problems)
        observer.conclude(folder, problems)


def client_of(home: Path, uri: str | None = None) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(uri or default_uri(home))


def runs_of(home: Path, uri: str | None = None) -> dict[str, Run]:
    """The runs by name; no two have one."""
    client = client_of(home, uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {str(run.info.run_name): run for run in runs}


def points(home: Path, run: Run, uri: str | None = None) -> Counter[tuple[str, int]]:
    """How often each point of a run was logged: metric and step."""
    client = client_of(home, uri)
    return Counter((m, p.step) for m in run.data.metrics for p in client.get_metric_history(run.info.run_id, m))


def statuses(home: Path, uri: str | None = None) -> dict[str, str]:
    return {name: run.info.status for name, run in runs_of(home, uri).items()}


def test_a_study_has_a_parent_run_and_every_trial_a_child_with_its_curves_and_scores(home: Path):
    follow(home, trials_of("head", "public"))
    runs = runs_of(home)
    parent, head, public = runs["tiny demo corrected"], runs["head, seed 0"], runs["public, seed 0"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {run.data.tags.get("mlflow.parentRunId") for run in (head, public)} == {parent.info.run_id}
    assert head.data.params.items() >= {"teacher": "head", "seed": "0", "scale": "demo", "preset": "corrected"}.items()
    counts = points(home, head)
    assert set(counts.values()) == {1}
    assert {step for metric, step in counts if metric == "pretrain/knn_accuracy"} == set(range(1, 11))
    assert {step for metric, step in counts if metric == "temporal/loss"} == set(range(1, 13))
    assert {
        "test/strict/accuracy",
        "test/relaxed_official/jaccard",
        "test_phase/f1/Preparation",
    } <= head.data.metrics.keys()
    assert not any(metric.startswith("pretrain/") for metric in public.data.metrics)
    [dataset] = head.inputs.dataset_inputs
    assert dataset.tags[0].value == "training"
    assert "video01" in dataset.dataset.source
    client = client_of(home)
    assert {f.path for f in client.list_artifacts(head.info.run_id)} >= {"predictions.parquet", "config.json"}
    assert {f.path for f in client.list_artifacts(parent.info.run_id)} >= {"report.html", "table.csv"}
    assert "| head trained |" in parent.data.tags["mlflow.note.content"]


def test_running_again_reopens_the_same_runs_and_adds_no_point(home: Path):
    follow(home, trials_of("head"))
    before = runs_of(home)
    follow(home, trials_of("head", "none"))
    after = runs_of(home)
    assert {name: after[name].info.run_id for name in before} == {name: run.info.run_id for name, run in before.items()}
    assert points(home, after["head, seed 0"]) == points(home, before["head, seed 0"])
    assert set(points(home, after["none, seed 0"]).values()) == {1}


def test_a_study_run_from_its_artifacts_shows_everything_in_a_new_mlflow(home: Path, empty_database: Path):
    follow(home, trials_of("head"))
    first = points(home, runs_of(home)["head, seed 0"])
    shutil.copy(empty_database, home / "mlflow.db")
    follow(home, trials_of("head"))
    assert points(home, runs_of(home)["head, seed 0"]) == first


def test_a_lost_spool_brings_no_point_twice(home: Path):
    follow(home, trials_of("head"))
    first = points(home, runs_of(home)["head, seed 0"])
    shutil.rmtree(spool_folder(home))
    follow(home, trials_of("head"))
    assert points(home, runs_of(home)["head, seed 0"]) == first


def test_what_was_sent_but_not_remembered_is_not_there_twice(home: Path):
    follow(home, trials_of("head"))
    for path in spool_folder(home).rglob("sent.json"):
        path.write_text(path.read_text().replace('"offset": ', '"offset": 0, "was": '))
    send_leftovers(home)
    assert set(points(home, runs_of(home)["head, seed 0"]).values()) == {1}


def test_a_failed_trial_says_why_and_the_next_run_mends_it(home: Path):
    follow(home, trials_of("head", fails=True))
    run = runs_of(home)["head, seed 0"]
    assert run.info.status == "FAILED"
    assert "disk of the moon" in run.data.tags["freelunch.problem"]
    assert "disk of the moon" in run.data.tags["mlflow.note.content"]


def test_an_interrupted_trial_is_killed_and_goes_on_in_the_same_run(home: Path):
    with pytest.raises(KeyboardInterrupt), tracker(home, trials_of("head")):
        raise KeyboardInterrupt
    assert statuses(home) == {"tiny demo corrected": "KILLED", "head, seed 0": "KILLED"}
    before = runs_of(home)["head, seed 0"].info.run_id
    follow(home, trials_of("head"))
    assert statuses(home) == {"tiny demo corrected": "FINISHED", "head, seed 0": "FINISHED"}
    assert runs_of(home)["head, seed 0"].info.run_id == before


class Looking(SearchObserver):
    """Looks at a search's own run in MLflow when a trial begins, and ends the search there if told to."""

    def __init__(self, observer: SearchTracker, home: Path, error: type[BaseException] | None = None) -> None:
        self._observer, self._home, self._error = observer, home, error
        self.seen: list[str] = []

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        assert self._observer._sender.finish(60)
        self.seen.append(search_run(self._home).info.status)
        if self._error is not None:
            raise self._error


def search_run(home: Path) -> Run:
    """A search's own run."""
    client = client_of(home)
    experiment = client.get_experiment_by_name("search-stub")
    assert experiment is not None
    [run] = [r for r in client.search_runs([experiment.experiment_id]) if r.data.tags.get("freelunch.trial", "") == ""]
    return run


def searched(home: Path, num_trials: int, error: type[BaseException] | None = None) -> list[str]:
    """Searches with a tracker; the statuses of the search's own run whenever a trial begins."""
    store, space = Store(home), SEARCH.bind(Conditions())
    with open_study(home, space) as memory:
        observer = SearchTracker(
            search=SEARCH,
            optuna_study=memory,
            home=home,
            request=Request(study="search-stub", scale="demo"),
            plan=make_plan((), store),
            store=store,
            context=CONTEXT,
            uri=None,
        )
        with observer:
            looking = Looking(observer, home, error)
            loop = SearchLoop(
                space=space, store=store, optuna_study=memory, num_trials=num_trials, observers=(observer, looking)
            )
            search_locally(loop, store, lambda stage: Resources(), observer)
    return looking.seen


def test_a_search_that_goes_on_runs_again_and_ends_anew(home: Path):
    with pytest.raises(KeyboardInterrupt):
        searched(home, 1, KeyboardInterrupt)
    assert search_run(home).info.status == "KILLED"
    assert searched(home, 2) == ["RUNNING", "RUNNING"]
    first = search_run(home).info
    assert first.status == "FINISHED"
    assert searched(home, 3) == ["RUNNING"]
    extended = search_run(home).info
    assert (extended.run_id, extended.status) == (first.run_id, "FINISHED")
    assert extended.end_time > first.end_time


def test_a_search_with_nothing_to_compute_stays_ended(home: Path):
    searched(home, 1)
    ended = search_run(home).info.end_time
    assert searched(home, 1) == []
    assert (search_run(home).info.status, search_run(home).info.end_time) == ("FINISHED", ended)


def test_the_runs_of_a_killed_driver_end_with_the_next_command(home: Path):
    ready = home / "ready"
    process = subprocess.Popen([sys.executable, "-c", KILLED_SCRIPT, home, ready])
    deadline = time.monotonic() + 60
    while not ready.exists() or "none, seed 0" not in statuses(home):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    process.kill()
    process.wait()
    assert statuses(home)["head, seed 0"] == "RUNNING"
    follow(home, trials_of("head"))
    assert statuses(home) == {
        "tiny demo corrected": "FINISHED",
        "head, seed 0": "FINISHED",
        "none, seed 0": "KILLED",
    }


def left_running(home: Path, *rows: str, settings: dict[str, str] | None = None) -> None:
    """Leaves a home as a driver does that is killed while these trials run."""
    settings = settings or {}
    open_ones = tracker(home, trials_of(*rows, **settings), request=replace(REQUEST, settings=settings))
    open_ones.__enter__()
    assert open_ones._sender.finish(60)
    open_ones._close()


def test_a_killed_trial_that_begins_again_later_is_told_by_the_driver_that_ended_its_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    left_running(home, "none")
    sending, begun, send = threading.Event(), threading.Event(), Destination.send

    def held_up(self: Destination, journal: Journal) -> None:
        if journal.folder.name == key(none.stage) and not begun.is_set():
            sending.set()
            assert begun.wait(60)
        send(self, journal)

    monkeypatch.setattr(Destination, "send", held_up)
    [none] = trials_of("none")
    with tracker(home, trials_of("public")) as observer:
        assert sending.wait(60)
        observer._trials[key(none.stage)] = none  # as a search learns of its trials
        observer._open_trial(key(none.stage))
        begun.set()
        store = Store(home)
        run(make_plan((none,), store), store, lambda stage: Resources(), observer)
        assert observer._sender.finish(60)
        assert statuses(home)["none, seed 0"] == "FINISHED"


def test_what_a_killed_driver_left_is_another_commands_again_once_it_was_sent(home: Path):
    settings = {"error": "0.3"}
    left_running(home, "head", settings=settings)
    with tracker(home, trials_of("public")) as other:
        assert other._sender.finish(60)
        request, trials = replace(REQUEST, settings=settings), trials_of("head", **settings)
        store, said = Store(home), list[str]()
        with tracker(home, trials, request=request, said=said) as observer:
            run(make_plan(trials, store), store, lambda stage: Resources(), observer)
        assert statuses(home)["head, seed 0"] == "FINISHED"
        assert not said


def test_what_a_killed_driver_left_is_given_back_after_an_attempt_that_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    left_running(home, "none")
    [none] = trials_of("none")
    send, said = Destination.send, list[str]()

    def refused(self: Destination, journal: Journal) -> None:
        if journal.folder.name == key(none.stage):
            raise UnreachableError("MLflow is full")
        send(self, journal)

    monkeypatch.setattr(Destination, "send", refused)
    with tracker(home, trials_of("public"), said=said) as observer:
        assert observer._sender.finish(60)
        journal = Journal.claim(observer._folder(key(none.stage)))
        assert journal is not None
        journal.close()
    assert said == ["MLflow is full; what an earlier command kept for MLflow stays for a later one."]


def test_a_tracker_beside_others_leaves_what_they_may_open_next(home: Path):
    left_running(home, "none")
    with tracker(home, trials_of("public"), is_alone=False) as observer:
        assert observer._sender.finish(60)
    assert statuses(home)["none, seed 0"] == "RUNNING"


def test_runs_that_another_command_holds_to_the_end_are_named(home: Path):
    said: list[str] = []
    with tracker(home, trials_of("head")), tracker(home, trials_of("head", "none"), said=said):
        pass
    [sentence] = said
    assert sentence.startswith("2 of 3 runs of tiny are kept in MLflow by another freelunch command")


def test_a_database_that_cannot_be_written_to_is_refused_in_a_sentence(home: Path):
    uri = f"sqlite:///file:{home / 'mlflow.db'}?mode=ro&uri=true"
    with pytest.raises(MachineError, match=r"does not take what it is told \(.*readonly database\): start it, or mend"):
        tracker(home, trials_of("head"), uri=uri).__enter__()


def test_two_drivers_share_the_runs_and_the_second_leaves_the_firsts_alone(home: Path):
    trials = trials_of("head")
    store = Store(home)
    with tracker(home, trials) as first:
        follow(home, trials_of("head", "none"))
        first.finished(trials[0].stage, 1.0)
    assert store.find(key(trials[0].stage))
    assert statuses(home) == {
        "tiny demo corrected": "FINISHED",
        "head, seed 0": "FINISHED",
        "none, seed 0": "FINISHED",
    }
    assert set(points(home, runs_of(home)["head, seed 0"]).values()) == {1}


def test_trials_with_equal_final_stages_have_one_run(home: Path):
    follow(home, STUDY.trials(3, seeds=(0, 1), only=("constant",)))
    assert set(runs_of(home)) == {"tiny demo corrected", "constant, seed 0"}


def test_other_settings_are_another_parent(home: Path):
    follow(home, trials_of("public"))
    settings = {"error": "0.3"}
    trials = trials_of("public", **settings)
    with tracker(home, trials, request=replace(REQUEST, settings=settings)):
        pass
    names = [run.info.run_name for run in client_of(home).search_runs(["1"])]
    assert sorted(names) == ["public, seed 0"] * 2 + ["tiny demo corrected", "tiny demo corrected error=0.3"]


def test_a_deleted_experiment_is_restored_and_said(home: Path):
    follow(home, trials_of("head"))
    before = points(home, runs_of(home)["head, seed 0"])
    client_of(home).delete_experiment("1")
    said: list[str] = []
    with tracker(home, trials_of("head"), said=said):
        pass
    assert any("restored" in sentence for sentence in said)
    assert points(home, runs_of(home)["head, seed 0"]) == before


def test_a_deleted_run_is_made_anew_with_all_it_had(home: Path):
    follow(home, trials_of("head"))
    old = runs_of(home)
    for deleted in old.values():
        client_of(home).delete_run(deleted.info.run_id)
    follow(home, trials_of("head"))
    new = runs_of(home)
    assert points(home, new["head, seed 0"]) == points(home, old["head, seed 0"])
    assert new["head, seed 0"].data.tags["mlflow.parentRunId"] == new["tiny demo corrected"].info.run_id
    assert statuses(home)["head, seed 0"] == "FINISHED"


def view_of(home: Path) -> dict[str, Any]:
    """What the saved view of the experiment says."""
    experiment = client_of(home).get_experiment_by_name("tiny")
    assert experiment is not None
    state: dict[str, Any] = json.loads(json.loads(experiment.tags[VIEW_TAG])["state"])
    return state


def test_the_saved_view_lists_the_trials_alone_the_best_first(home: Path):
    follow(home, trials_of("none", "head", "public"))
    with pytest.raises(KeyboardInterrupt), tracker(home, trials_of("all")):
        raise KeyboardInterrupt
    view = view_of(home)
    order = f"{view['orderByKey']} {'ASC' if view['orderByAsc'] else 'DESC'}"
    found = client_of(home).search_runs(["1"], view["searchFilter"], order_by=[order])
    *scored, unscored = [run.data.metrics.get("test/strict/accuracy") for run in found]
    assert scored == sorted(scored, reverse=True)
    assert [run.info.run_name for run in found][-1] == "all, seed 0"
    assert unscored is None
    assert "tiny demo corrected" not in {run.info.run_name for run in found}


def test_the_saved_view_names_what_trials_log_and_folds_every_other_section(home: Path):
    follow(home, trials_of("head"))
    head, view = runs_of(home)["head, seed 0"].data, view_of(home)
    logged = {f"metrics.`{name}`" for name in head.metrics} | {f"params.`{name}`" for name in head.params}
    assert set(view["selectedColumns"]) <= logged
    charted = {chart["metricKey"] for chart in view["compareRunCharts"]}
    assert charted - head.metrics.keys() == {"pretrain/loss"}  # of which this study's stages log the terms alone
    shown = {section["name"] for section in view["compareRunSections"] if section["display"]}
    assert shown == {"tiny"}
    assert {name.rpartition("/")[0] for name in head.metrics} == {
        section["name"] for section in view["compareRunSections"] if not section["display"]
    }


def test_an_outdated_view_is_renewed_and_a_note_that_a_user_changed_stays(home: Path):
    follow(home, trials_of("public"))
    view, client = view_of(home), client_of(home)
    client.set_experiment_tag("1", VIEW_TAG, "of an earlier version")
    client.set_experiment_tag("1", "mlflow.note.content", "mine")
    with tracker(home, trials_of("public")):
        pass
    assert view_of(home) == view
    assert client.get_experiment("1").tags["mlflow.note.content"] == "mine"


def test_an_mlflow_of_an_unknown_version_gets_no_view(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mlflow.__version__", "3.18.0")
    follow(home, trials_of("public"))
    assert VIEW_TAG not in client_of(home).get_experiment("1").tags
    assert "viewStateShareKey" not in Destination(home, default_uri(home)).pages()["tiny"]


def test_two_studies_of_one_name_with_different_recipes_are_refused(home: Path):
    follow(home, trials_of("public"))
    other = replace(STUDY, recipe=small_study.public, axes={}, reference=None)
    with pytest.raises(InputError, match=r"small_study\.student, and this study's is .*small_study\.public"):
        tracker(home, trials_of("public", study=other), study=other).__enter__()


def test_an_experiment_of_an_earlier_version_goes_on_and_its_recipe_is_brought_up_to_date(home: Path):
    before, now = "search_spaces.rivals.swav", "freelunch.swav"
    experiment = client_of(home).create_experiment("rivals", f"{home}/artifacts", {"freelunch.recipe": before})
    destination = Destination(home, default_uri(home))
    for tag in (now, before):  # the latter from a journal that the earlier version left behind
        assert destination.ensure_experiment("rivals", {"freelunch.recipe": tag}) == experiment
        assert client_of(home).get_experiment(experiment).tags["freelunch.recipe"] == now
    with pytest.raises(InputError, match=r"of the recipe freelunch\.swav, and this study's is freelunch\.moco"):
        destination.ensure_experiment("rivals", {"freelunch.recipe": "freelunch.moco"})


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "/tmp/mlruns", "mlruns"])
def test_a_folder_is_refused_as_tracking_uri(tmp_path: Path, uri: str):
    with pytest.raises(InputError, match=f"MLFLOW_TRACKING_URI is {uri}"):
        tracker(tmp_path, trials_of("head"), uri=uri)


def test_a_server_that_never_answered_is_refused_at_the_start(tmp_path: Path):
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MachineError, match=r"does not answer \(connection refused\)"):
        tracker(tmp_path, trials_of("head"), uri=uri).__enter__()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(home: Path) -> Iterator[tuple[str, "list[subprocess.Popen[bytes]]"]]:
    """A real server of a home of its own, which a test may kill and start again."""
    port, processes = free_port(), []

    def start() -> "subprocess.Popen[bytes]":
        process = start_server(default_uri(home), home / "served", "127.0.0.1", port, home / "server.log")
        processes.append(process)
        wait_until_healthy(process, f"http://127.0.0.1:{port}", home / "server.log")
        return process

    start.uri = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]
    yield start  # type: ignore[misc]
    for process in processes:
        stop_server(process)


def test_a_server_killed_in_the_middle_and_back_later_misses_nothing(home: Path, server):
    process, uri, said = server(), server.uri, []
    follow(home, trials_of("public"), uri=uri)
    trials = trials_of("head", "public")
    store = Store(home)
    with tracker(home, trials, uri=uri, said=said) as observer:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        run(make_plan(trials, store), store, lambda stage: Resources(), observer)
        while not said:
            time.sleep(0.1)
        server()
    assert not list(leftovers(home, uri))
    assert any("answers again" in sentence for sentence in said)
    assert set(statuses(home, uri).values()) == {"FINISHED"}
    counts = points(home, runs_of(home, uri)["head, seed 0"], uri)
    assert set(counts.values()) == {1}
    assert {step for metric, step in counts if metric == "pretrain/knn_accuracy"} == set(range(1, 11))
    for path in spool_folder(home).rglob("sent.json"):  # as if killed before it was remembered
        path.write_text(path.read_text().replace('"offset": ', '"offset": 0, "was": '))
    send_leftovers(home, uri)
    assert points(home, runs_of(home, uri)["head, seed 0"], uri) == counts


def test_what_a_server_missed_is_kept_and_sent_by_a_later_command(home: Path, server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("study.tracking.tracker.PATIENCE_SECONDS", 0.5)
    process, uri, said = server(), server.uri, []
    follow(home, trials_of("public"), uri=uri)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    trials, store = trials_of("head"), Store(home)
    with tracker(home, trials, uri=uri, said=said) as observer:
        run(make_plan(trials, store), store, lambda stage: Resources(), observer)
    assert "entries are kept in" in said[-1]
    server()
    send_leftovers(home, uri)
    assert set(statuses(home, uri).values()) == {"FINISHED"}
    assert set(points(home, runs_of(home, uri)["head, seed 0"], uri).values()) == {1}
