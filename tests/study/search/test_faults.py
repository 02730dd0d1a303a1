"""Faults that end a search early: damaged artifacts, recipes that the machine fails, failures in a row."""

import math
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from study import Choice, Trial
from study.core.disk import DiskFullError
from study.core.graph import key, walk
from study.core.store import Store
from study.execution.events import Failure, Observer, failure_of
from study.execution.local import run
from study.search.lines import SearchLinePrinter
from study.search.loop import MAX_FAILURES_IN_A_ROW, SearchLoop
from study.search.observer import RunningTrial, SearchObserver
from study.search.optuna_study import KEY, PROBLEM, OptunaStudy
from study.search.space import Parameters
from tests.study.search.damage import AT_FAULT, DataDamager, damage, repair
from tests.study.search.stub_search import SEARCH, Conditions, open_study, remembered, searched, states
from trainers.artifacts.history import FILE_NAME as HISTORY
from trainers.stage import InputError, MachineError, Resources

NUM_TRIALS = 6


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nothing happened to a search without teachers."""
    home = tmp_path_factory.mktemp("undisturbed")
    searched(home, NUM_TRIALS, teacher="none")
    return home


@pytest.fixture(scope="module")
def undisturbed(home: Path) -> list[tuple[Any, ...]]:
    """The trials of that search."""
    with open_study(home, SEARCH.bind(Conditions(), {"teacher": "none"})) as optuna_study:
        return remembered(optuna_study.trials())


def test_a_failure_says_whether_the_machine_is_at_fault():
    faults = (MachineError("no GPU"), DiskFullError("full"), InputError("torn"), ValueError("infinite"))
    failures = [failure_of(error, key="k", title="t") for error in faults]
    assert [failure.fault for failure in failures] == ["machine", "machine", "input", "program"]


def test_an_input_that_is_damaged_ends_a_search_and_the_same_command_goes_on_once_it_is_mended(
    tmp_path: Path, undisturbed: list[tuple[Any, ...]]
):
    store = Store(tmp_path)
    loop, trials = searched(tmp_path, NUM_TRIALS, teacher="none", observers=(DataDamager(store),))
    assert remembered(trials[:2]) == undisturbed[:2]
    assert states(trials[2:]) == ["RUNNING"]
    assert loop.stop_reason is not None
    assert loop.stop_reason.startswith(f"{AT_FAULT}Student failed: {store.home}")
    assert loop.num_failed == 0
    still, same = searched(tmp_path, NUM_TRIALS, teacher="none")
    assert (still.stop_reason, remembered(same)) == (loop.stop_reason, remembered(trials))
    repair(store, loop.stop_reason)
    went_on, mended = searched(tmp_path, NUM_TRIALS, teacher="none")
    assert went_on.stop_reason is None
    assert remembered(mended) == undisturbed


@pytest.mark.parametrize(("title", "file"), [("Judge", "value.json"), ("Student", HISTORY)])
def test_a_trial_whose_finished_stage_is_damaged_is_asked_for_again(
    tmp_path: Path, home: Path, undisturbed: list[tuple[Any, ...]], title: str, file: str
):
    store = Store(shutil.copytree(home, tmp_path / "home"))
    (store.home / "optuna.db").unlink()
    number, judge = next((trial[0], trial[6][KEY]) for trial in undisturbed if trial[1] == "COMPLETE")
    stages = walk(SEARCH.bind(Conditions(), {"teacher": "none"}).trial(number, undisturbed[number][3]).stage)
    damaged = next(stage_key for stage_key, stage in stages.items() if stage.title == title)
    damage(store, damaged, file)
    if damaged != judge:
        store.remove(judge)
    loop, trials = searched(store.home, NUM_TRIALS, teacher="none")
    assert remembered(trials[:number]) == undisturbed[:number]
    assert states(trials[number:]) == ["RUNNING"]
    assert loop.stop_reason is not None
    assert loop.stop_reason.startswith(f"{AT_FAULT}{store.home}")
    repair(store, loop.stop_reason)
    assert remembered(searched(store.home, NUM_TRIALS, teacher="none")[1]) == undisturbed


def test_a_recipe_that_the_machine_fails_leaves_its_trial_to_be_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def away(self: OptunaStudy, frozen: FrozenTrial) -> Trial:
        raise MachineError("weights.json cannot be read")

    with monkeypatch.context() as patched:
        patched.setattr(OptunaStudy, "trial_of", away)
        with pytest.raises(MachineError, match=r"weights\.json cannot be read"):
            searched(tmp_path, 2)
    with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
        assert states(optuna_study.trials()) == ["RUNNING"]
    assert states(searched(tmp_path, 1)[1]) == ["COMPLETE"]


def test_failures_in_a_row_end_a_search_before_they_use_up_its_trials(tmp_path: Path):
    loop, trials = searched(tmp_path, NUM_TRIALS, Conditions(fails="student"), weight="2")
    assert states(trials) == ["FAIL"] * MAX_FAILURES_IN_A_ROW
    assert loop.stop_reason == (
        "3 trials in a row have failed, which are not tried again. "
        "The last: Student failed: ValueError: the loss is no longer finite"
    )
    assert loop.num_failed == MAX_FAILURES_IN_A_ROW
    went_on, mended = searched(tmp_path, NUM_TRIALS, weight="2")
    assert went_on.stop_reason is None
    assert remembered(mended[:MAX_FAILURES_IN_A_ROW]) == remembered(trials)
    assert set(states(mended[MAX_FAILURES_IN_A_ROW:])) <= {"COMPLETE", "PRUNED"}
    assert len(mended) == NUM_TRIALS


def test_trials_that_do_not_fail_lie_between_two_rows_of_failures(tmp_path: Path):
    space, store = SEARCH.bind(Conditions()), Store(tmp_path)
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=20)

        def complete(running: RunningTrial) -> None:
            run(running.plan, store, lambda stage: Resources(), Observer())
            loop.finish(running)

        def prune(running: RunningTrial) -> None:
            assert running.signal is not None
            assert loop.on_report(running, running.signal.stage, {"knn": math.nan}, 1)

        def fail(running: RunningTrial) -> None:
            assert running.signal is not None
            stage = running.signal.stage
            loop.fail(running, Failure(sentence="no.", fault="input", key=key(stage), title=stage.title))

        for end in (fail, fail, complete, fail, fail, prune, fail, fail, fail):
            assert loop.stop_reason is None
            running = loop.begin()
            assert running is not None
            end(running)
        assert loop.begin() is None
        between = ["FAIL", "FAIL", "COMPLETE", "FAIL", "FAIL", "PRUNED", "FAIL", "FAIL", "FAIL"]
        assert states(optuna_study.trials()) == between
        assert loop.stop_reason == (
            "3 trials in a row have failed, which are not tried again. The last: Student failed: no."
        )


def test_a_point_that_the_recipe_refuses_is_told(tmp_path: Path):
    class Told(SearchObserver):
        def __init__(self) -> None:
            self.heard: list[tuple[int, dict[str, object], str]] = []

        def point_refused(self, number: int, parameters: Parameters, problem: str) -> None:
            self.heard.append((number, dict(parameters), problem))

    printed, listener = StringIO(), Told()
    narrator = SearchLinePrinter(SEARCH.objective, Console(file=printed), None, tmp_path)
    search = replace(SEARCH, axes={"queue_size": Choice((8, 12, 64))})
    loop, trials = searched(tmp_path, 3, search=search, observers=(listener, narrator))
    (refused,) = (trial for trial in trials if trial.state == TrialState.FAIL)
    problem = "a queue of 12 is no multiple of 8."
    assert refused.user_attrs[PROBLEM] == problem
    assert listener.heard == [(refused.number, {"queue_size": 12}, problem)]
    assert f"trial {refused.number} refused: queue_size 12: {problem}" in printed.getvalue()
    assert loop.stop_reason is None
