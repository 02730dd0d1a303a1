"""Loop of a search in one process: early stopping, resumption, failures."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from study import Choice, Trial
from study.core.graph import key
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.execution.events import Observer
from study.execution.local import run
from study.search.domains import When
from study.search.home_storage import storage_url
from study.search.in_process import search_locally
from study.search.loop import SearchLoop
from study.search.observer import SearchObserver
from study.search.optuna_study import KEY, PROBLEM, OptunaStudy, parameters_of
from study.search.pruner import SuccessiveHalving
from tests.study.search.stub_search import EPOCHS, SEARCH, Conditions, entries, open_study, remembered, searched, states
from trainers.stage import MachineError, Resources

PATIENCE_SECONDS = 300
NUM_TRIALS = 13


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a search went on to its end, uninterrupted, and wrote a diary."""
    home = tmp_path_factory.mktemp("undisturbed")
    searched(home, NUM_TRIALS, Conditions(diary=home / "diary"))
    return home


@pytest.fixture(scope="module")
def known(home: Path) -> list[FrozenTrial]:
    """The trials of that search."""
    with open_study(home, SEARCH.bind(Conditions())) as optuna_study:
        return optuna_study.trials()


@pytest.fixture(scope="module")
def undisturbed(known: list[FrozenTrial]) -> list[tuple[object, ...]]:
    """All that is remembered of them."""
    return remembered(known)


class Told(SearchObserver):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        self.heard.append(f"{trial.row.name} {'goes on' if again else 'begins'}")

    def trial_completed(self, trial: Trial, value: float) -> None:
        self.heard.append(f"{trial.row.name} is worth {value:.0f}")

    def trial_failed(self, trial: Trial, problem: str) -> None:
        self.heard.append(f"{trial.row.name} failed: {problem}")


def test_a_search_stops_bad_trials_early_and_finishes_good_ones(undisturbed: list[tuple[Any, ...]]):
    completed = [trial for trial in undisturbed if trial[1] == "COMPLETE"]
    pruned = [trial for trial in undisturbed if trial[1] == "PRUNED"]
    assert len(completed) + len(pruned) == NUM_TRIALS
    assert {max(trial[5]) for trial in completed} == {EPOCHS}
    assert {max(trial[5]) for trial in pruned} <= set(SuccessiveHalving(EPOCHS).rungs)
    assert max(trial[2][0] for trial in completed) == max(trial[2][0] for trial in completed + pruned if trial[2])
    assert completed
    assert pruned


@pytest.mark.kills
def test_a_search_that_is_killed_again_and_again_has_the_trials_of_an_undisturbed_one(
    tmp_path: Path, undisturbed: list[tuple[object, ...]]
):
    diary = tmp_path / "diary"
    command = [
        sys.executable,
        "-m",
        "tests.study.search.search_program",
        tmp_path / "home",
        diary,
        str(NUM_TRIALS),
        "0.05",
    ]
    for _ in range(3):
        before = len(entries(diary))
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(entries(diary)) < before + 6:
            assert time.monotonic() < deadline, entries(diary)
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = optuna.load_study(study_name="stub", storage=storage_url(tmp_path / "home")).get_trials()
    assert len(left) < NUM_TRIALS
    _, trials = searched(tmp_path / "home", NUM_TRIALS, Conditions(diary=diary))
    assert remembered(trials) == undisturbed
    assert any(line.startswith("student") and not line.endswith("from 0") for line in entries(diary))


def test_a_trial_whose_driver_died_between_a_decision_and_its_note_is_stopped_at_the_same_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[tuple[object, ...]]
):
    def die(self: OptunaStudy, number: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OptunaStudy, "prune", die)
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path, NUM_TRIALS)
    assert remembered(searched(tmp_path, NUM_TRIALS)[1]) == undisturbed


def test_the_first_trial_is_the_point_that_the_search_begins_at_and_a_seed_decides_the_others(tmp_path: Path):
    known = {"weight": 2.0, "temperature": 0.2, "queue_size": 32, "teacher": "head", "teacher_epochs": 4}
    search = replace(SEARCH, initial_point=lambda conditions, settings: known)
    points = []
    for seed in (0, 1):
        _, trials = searched(tmp_path / str(seed), 3, search=search, seed=seed)
        points.append([parameters_of(trial) for trial in trials])
        assert trials[0].params == {**known, "own_temperature of its own": False}
    assert points[0][0] == points[1][0] == known
    assert points[0][1] != points[1][1]


def test_more_trials_extend_a_search(tmp_path: Path, undisturbed: list[tuple[object, ...]]):
    first = remembered(searched(tmp_path, 5)[1])
    assert first == undisturbed[:5]
    observer = Told()
    assert remembered(searched(tmp_path, NUM_TRIALS, observers=(observer,))[1]) == undisturbed
    assert not any(text.startswith(tuple(f"trial {number} " for number in range(5))) for text in observer.heard)


def test_what_other_runs_have_computed_is_known_at_once(
    tmp_path: Path, home: Path, undisturbed: list[tuple[object, ...]]
):
    copy, diary = Path(shutil.copytree(home, tmp_path / "home")), tmp_path / "diary"
    assert any(line.startswith("judge") for line in entries(copy / "diary"))
    (copy / "optuna.db").unlink()
    assert remembered(searched(copy, NUM_TRIALS, Conditions(diary=diary))[1]) == undisturbed
    assert not [line for line in entries(diary) if line.startswith(("judge", "data", "teacher"))]


def test_no_point_is_asked_for_twice_and_a_space_can_be_used_up(tmp_path: Path):
    axes = {"teacher": Choice(("none", "head")), "teacher_epochs": When("teacher", ("head",), Choice((1, 4)))}
    loop, trials = searched(tmp_path, 20, search=replace(SEARCH, axes=axes))
    assert loop.is_exhausted
    points = [parameters_of(trial) for trial in trials]
    assert sorted(map(str, points)) == [
        "{'teacher': 'head', 'teacher_epochs': 1}",
        "{'teacher': 'head', 'teacher_epochs': 4}",
        "{'teacher': 'none'}",
    ]
    assert len({trial.user_attrs[KEY] for trial in trials}) == 3


def test_a_trial_that_fails_is_kept_as_failed_and_the_search_goes_on(tmp_path: Path):
    observer = Told()
    loop, trials = searched(tmp_path, 6, Conditions(fails="student"), observers=(observer,))
    assert loop.stop_reason is None
    for trial in trials:
        fails = trial.params["weight"] > 1
        assert (trial.state == TrialState.FAIL) == fails
        assert (PROBLEM in trial.user_attrs) == fails
    assert loop.num_failed == states(trials).count("FAIL") > 0
    failed = next(trial for trial in trials if trial.state == TrialState.FAIL)
    problem = "Student failed: ValueError: the loss is no longer finite"
    assert failed.user_attrs[PROBLEM] == problem
    assert f"trial {failed.number} failed: {problem}" in observer.heard
    again, kept = searched(tmp_path, 6)
    assert remembered(kept) == remembered(trials)
    assert again.stop_reason is None
    assert again.num_failed == 0


def test_a_search_ends_where_all_trials_would_fail_and_asks_for_that_trial_again(tmp_path: Path):
    loop, trials = searched(tmp_path, 6, Conditions(fails="data"))
    assert loop.stop_reason == "all trials need a stage that failed. Data failed: the video is torn: mend it."
    assert states(trials) == ["RUNNING"]
    observer = Told()
    _, mended = searched(tmp_path, 2, observers=(observer,))
    assert observer.heard[0] == "trial 0 goes on"
    assert parameters_of(mended[0]) == parameters_of(trials[0])
    assert states(mended)[0] == "COMPLETE"


def test_a_point_that_the_recipe_refuses_is_a_failed_trial(tmp_path: Path):
    loop, trials = searched(tmp_path, 4, search=replace(SEARCH, axes={"queue_size": Choice((8, 12, 64))}))
    refused = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert [trial.user_attrs[PROBLEM] for trial in refused] == ["a queue of 12 is no multiple of 8."]
    assert len(trials) == 3
    assert loop.num_failed == 1


def test_no_trial_begins_after_the_hours_are_over(tmp_path: Path):
    space = SEARCH.bind(Conditions())
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=Store(tmp_path), optuna_study=optuna_study, num_trials=3, seconds=0)
        search_locally(loop, Store(tmp_path), lambda stage: Resources(), Observer())
        assert optuna_study.trials() == []


def test_what_is_fixed_is_not_searched(tmp_path: Path):
    _, trials = searched(tmp_path, 4, weight="2", teacher="none")
    for trial in trials:
        assert {"weight", "teacher", "teacher_epochs"}.isdisjoint(trial.params)


def test_the_printed_parameters_give_the_same_stages_again(known: list[FrozenTrial]):
    for trial in known:
        printed = {name: f"{value}" for name, value in parameters_of(trial).items()}
        whole = SEARCH.bind(Conditions()).trial(0, printed)
        assert key(whole.stage) == trial.user_attrs[KEY]
        assert all(len(text.replace(".", "").strip("0")) <= 4 for text in printed.values() if "." in text)


def test_a_storage_that_goes_away_in_the_middle_is_told_in_a_sentence_and_fails_no_trial(tmp_path: Path):
    database = tmp_path / "optuna.db"

    class Thief(SearchObserver):
        def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
            if trial.number == 1:
                database.rename(tmp_path / "stolen.db")

    with pytest.raises(MachineError, match=r"the Optuna storage sqlite:.* cannot be used .*: check --storage"):
        searched(tmp_path, 3, observers=(Thief(),))
    database.unlink(missing_ok=True)
    (tmp_path / "stolen.db").rename(database)
    with open_study(tmp_path, SEARCH.bind(Conditions())) as optuna_study:
        assert states(optuna_study.trials())[1:] == ["RUNNING"]


def test_a_trial_that_is_stopped_keeps_its_folder_and_goes_on_from_there_when_a_study_wants_it(
    tmp_path: Path, home: Path, known: list[FrozenTrial]
):
    diary = tmp_path / "diary"
    pruned = next(trial for trial in known if trial.state == TrialState.PRUNED)
    store = Store(shutil.copytree(home, tmp_path / "home"))
    wanted = SEARCH.bind(Conditions(diary=diary)).trial(0, parameters_of(pruned))
    assert store.find(key(wanted.stage)) is None
    run(make_plan((wanted,), store), store, lambda stage: Resources(), Observer())
    assert store.find(key(wanted.stage))
    assert any(line.endswith(f"from {pruned.last_step}") for line in entries(diary))
