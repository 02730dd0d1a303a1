import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from study.analysis.results import curve_stages
from study.core.graph import key
from study.core.store import Store
from study.core.study import Trial
from study.report.study_report import write_report
from study.tracking.journal import spool_folder
from study.tracking.leftovers import leftovers
from study.tracking.tracker import Tracker
from study.tracking.uri import default_uri
from tests.study.small_study import CONTEXT, STUDY
from tests.study.tracking.tracked import (
    REQUEST,
    client_of,
    compute,
    follow,
    points,
    runs_of,
    statuses,
    tracker,
    trials_of,
)
from trainers.stage import Progress


@pytest.fixture(scope="module")
def finished(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a study that was run to its end, with its report: tests only read it."""
    home = tmp_path_factory.mktemp("finished")
    shutil.copy(empty_database, home / "mlflow.db")
    trials = trials_of("head", "public")
    with tracker(home, trials) as observer:
        compute(home, trials, observer)
        folder = REQUEST.folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        write_report(STUDY, trials, Store(home), folder, context=CONTEXT)
        observer.conclude(folder, {})
    return home


def test_every_trial_has_a_run_below_the_studys_with_what_was_asked(finished: Path):
    runs = runs_of(finished)
    parent, head, public = runs["tiny demo corrected"], runs["head, seed 0"], runs["public, seed 0"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert {run.data.tags.get("mlflow.parentRunId") for run in (head, public)} == {parent.info.run_id}
    assert head.data.params.items() >= {"teacher": "head", "seed": "0", "scale": "demo", "preset": "corrected"}.items()
    [dataset] = head.inputs.dataset_inputs
    assert dataset.tags[0].value == "training"
    assert "video01" in dataset.dataset.source


def test_every_epoch_and_every_score_is_one_point(finished: Path):
    head, public = runs_of(finished)["head, seed 0"], runs_of(finished)["public, seed 0"]
    counts = points(finished, head)
    assert set(counts.values()) == {1}
    assert {step for metric, step in counts if metric == "pretrain/knn_accuracy"} == set(range(1, 11))
    assert {step for metric, step in counts if metric == "temporal/loss"} == set(range(1, 13))
    assert {
        "test/strict/accuracy",
        "test/relaxed_official/jaccard",
        "test_phase/f1/Preparation",
    } <= head.data.metrics.keys()
    assert not any(metric.startswith("pretrain/") for metric in public.data.metrics)


def test_the_report_is_with_the_studys_run_and_predictions_are_with_the_trials(finished: Path):
    client, runs = client_of(finished), runs_of(finished)
    parent, head = runs["tiny demo corrected"], runs["head, seed 0"]
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


def test_runs_that_another_command_holds_to_the_end_are_named(home: Path, caplog: pytest.LogCaptureFixture):
    with tracker(home, trials_of("head")), tracker(home, trials_of("head", "none")):
        pass
    [sentence] = caplog.messages
    assert sentence.startswith("2 of 3 runs of tiny are kept in MLflow by another freelunch command")


def test_two_drivers_share_the_runs_and_the_second_leaves_the_firsts_alone(home: Path):
    trials = trials_of("head")
    store = Store(home)
    with tracker(home, trials) as first:
        follow(home, trials_of("head", "none"))
        first.on_finished(trials[0].stage, 1.0)
    assert store.find(key(trials[0].stage))
    assert statuses(home) == {
        "tiny demo corrected": "FINISHED",
        "head, seed 0": "FINISHED",
        "none, seed 0": "FINISHED",
    }
    assert set(points(home, runs_of(home)["head, seed 0"]).values()) == {1}


def two_drivers(home: Path, trials: Sequence[Trial]) -> tuple[Tracker, Tracker]:
    """The trackers of two drivers of one study: of the one that keeps its run, and of the one that has computed it."""
    keeper, computer = tracker(home, trials), tracker(home, trials)
    keeper.__enter__()
    computer.__enter__()
    compute(home, trials, computer)
    return keeper, computer


@pytest.mark.parametrize("ends_first", ["the one that keeps the run", "the one that computes"])
def test_what_only_the_computing_driver_knows_is_in_the_run_that_another_one_keeps(home: Path, ends_first: str):
    trials = trials_of("head")
    stage = curve_stages(trials[0])["pretrain"]
    keeper, computer = two_drivers(home, trials)
    computer.on_progress(stage, Progress(fraction=0.5, frames_per_second=100.0))
    computer.on_epoch(stage, 1, {"loss": 2.0})
    if ends_first == "the one that computes":
        computer.__exit__(None, None, None)
    keeper.on_found(trials[0].stage)
    keeper.__exit__(None, None, None)
    if ends_first == "the one that keeps the run":
        computer.on_epoch(stage, 2, {"loss": 1.0})
        computer.__exit__(None, None, None)
    counts = points(home, runs_of(home)["head, seed 0"])
    epochs = {1} if ends_first == "the one that computes" else {1, 2}
    assert {step for metric, step in counts if metric == "pretrain/frames_per_second"} == epochs
    assert {step for metric, step in counts if metric == "pretrain/knn_accuracy"} == set(range(1, 11))
    assert set(counts.values()) == {1}
    assert set(statuses(home).values()) == {"FINISHED"}
    assert not list(spool_folder(home).rglob("points-*"))
    assert not list(leftovers(home, default_uri(home)))


def test_points_handed_over_after_the_last_look_of_the_driver_that_keeps_the_run_are_in_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    trials = trials_of("head")
    stage = curve_stages(trials[0])["pretrain"]
    keeper, computer = two_drivers(home, trials)
    finish = keeper._sender.finish

    def finish_late(patience_seconds: float) -> bool:
        is_sent = finish(patience_seconds)
        computer.on_progress(stage, Progress(fraction=0.5, frames_per_second=100.0))
        computer.on_epoch(stage, 2, {"loss": 1.0})
        computer.__exit__(None, None, None)
        return is_sent

    monkeypatch.setattr(keeper._sender, "finish", finish_late)
    keeper.__exit__(None, None, None)
    counts = points(home, runs_of(home)["head, seed 0"])
    assert counts["pretrain/frames_per_second", 2] == 1
    assert set(counts.values()) == {1}
    assert set(statuses(home).values()) == {"FINISHED"}
    assert not list(spool_folder(home).rglob("points-*"))
    assert not list(leftovers(home, default_uri(home)))


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
