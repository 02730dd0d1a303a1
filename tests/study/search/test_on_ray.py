import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
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
from study.execution.ray import connection as ray_cluster
from study.execution.ray.runner import broker_of
from study.execution.ray.tune import TuneThread
from study.execution.resources import Profile
from study.search.domains import When
from study.search.in_process import search_locally
from study.search.loop import SearchLoop
from study.search.observer import SearchObserver
from study.search.on_ray import TuneBridge, search_on_ray
from study.search.optuna_study import KEY, PROBLEM, OptunaStudy, parameters_of
from study.search.pruner import SuccessiveHalving
from study.search.storage import storage_url, without_password
from tests.study.search.searched import EPOCHS, SEARCH, Conditions, open_study, remembered, searched
from trainers.stage import InputError, MachineError, Resources, Stage

PATIENCE_SECONDS = 60
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


def lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


def states(trials: list[FrozenTrial]) -> list[str]:
    return [trial.state.name for trial in trials]


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
        before = len(lines(diary))
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(lines(diary)) < before + 6:
            assert time.monotonic() < deadline, lines(diary)
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = optuna.load_study(study_name="stub", storage=storage_url(tmp_path / "home")).get_trials()
    assert len(left) < NUM_TRIALS
    _, trials = searched(tmp_path / "home", NUM_TRIALS, Conditions(diary=diary))
    assert remembered(trials) == undisturbed
    assert any(line.startswith("student") and not line.endswith("from 0") for line in lines(diary))


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
    assert any(line.startswith("judge") for line in lines(copy / "diary"))
    (copy / "optuna.db").unlink()
    assert remembered(searched(copy, NUM_TRIALS, Conditions(diary=diary))[1]) == undisturbed
    assert not [line for line in lines(diary) if line.startswith(("judge", "data", "teacher"))]


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


def test_an_optuna_study_of_another_search_is_refused(tmp_path: Path):
    searched(tmp_path, 1)
    other_axes = replace(SEARCH, axes={"weight": SEARCH.axes["weight"]})
    for what, options in {
        "another seed": {"seed": 1},
        "other axes": {"search": other_axes},
        "other data, or another version": {"conditions": Conditions(batch=16)},
    }.items():
        with pytest.raises(InputError, match=f"the Optuna study 'stub' in sqlite:.*{what}.*--storage"):
            searched(tmp_path, 1, **options)  # type: ignore[arg-type]
    optuna.create_study(study_name="taken", storage=storage_url(tmp_path)).add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(InputError, match=r"'taken' .* searched with something else altogether"):
        open_study(tmp_path, SEARCH.bind(Conditions()), name="taken")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "postgresql://nobody@localhost:1/none"])
def test_a_storage_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, url: str):
    with pytest.raises(MachineError, match=f"the Optuna storage {url} cannot be used .*: check --storage"):
        open_study(tmp_path, SEARCH.bind(Conditions()), url=url)


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


def test_trials_that_another_driver_is_at_are_left_to_it(tmp_path: Path):
    space = SEARCH.bind(Conditions())
    with open_study(tmp_path, space) as ours:
        asked = ours.ask()
        assert [trial.number for trial in ours.unfinished()] == [asked.number]
        theirs = OptunaStudy(name="stub", space=space, seed=0, url=storage_url(tmp_path), driver="another")
        with theirs:
            assert theirs.unfinished() == []
            assert parameters_of(theirs.ask()) != parameters_of(asked)


def test_halving_decides_as_optunas_pruner_does():
    drawn = random.Random(0)
    ours = SuccessiveHalving(9)
    optunas = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(direction="maximize", pruner=optunas)
    decisions = []
    for _ in range(60):
        trial, quality = study.ask(), drawn.random()
        for epoch in range(1, 9):
            trial.report(quality * epoch + drawn.gauss(0, 0.3), epoch)
            stop = trial.should_prune()
            frozen = study.get_trials()[-1]
            assert ours.prune(study, frozen) == stop
            assert ours.prune(study, frozen) == stop, "asked again, it says the same"
            decisions.append(stop)
            if stop:
                break
        study.tell(trial, state=TrialState.PRUNED if stop else None, values=None if stop else quality)
    assert 20 < sum(decisions) < len(decisions)


@pytest.mark.parametrize(("epochs", "rungs"), [(200, (23, 69)), (10, (2, 6)), (9, (1, 3)), (2, (1,)), (1, ())])
def test_trials_are_judged_at_a_ninth_and_a_third_of_their_epochs(epochs: int, rungs: tuple[int, ...]):
    assert SuccessiveHalving(epochs).rungs == rungs


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
    assert any(line.endswith(f"from {pruned.last_step}") for line in lines(diary))


class Epochs(Observer):
    def __init__(self) -> None:
        self.finished_titles: list[str] = []

    def finished(self, stage: Stage, seconds: float) -> None:
        self.finished_titles.append(stage.title)


def on_ray(cluster: Any, home: Path, num_trials: int, conditions: Conditions, at_once: int) -> tuple[Any, Any]:
    space, store, observer = SEARCH.bind(conditions), Store(home), Epochs()
    with open_study(home, space) as optuna_study:
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=num_trials)
        profile = Profile(default=Resources())
        search_on_ray(
            loop, space, store, lambda cpus, gpus: profile, observer, address=cluster.address, at_once=at_once
        )
        return optuna_study.trials(), observer


def test_a_search_on_ray_one_trial_at_a_time_is_the_search_in_one_process(
    cluster: Any, tmp_path: Path, undisturbed: list[tuple[object, ...]]
):
    trials, observer = on_ray(cluster, tmp_path, 4, Conditions(), at_once=1)
    assert remembered(trials) == undisturbed[:4]
    assert {"Data", "Student", "Judge"} <= set(observer.finished_titles)


def test_a_search_on_ray_runs_trials_side_by_side_and_stops_the_stages_of_bad_ones(cluster: Any, tmp_path: Path):
    diary = tmp_path / "diary"
    trials, _ = on_ray(cluster, tmp_path, 4, Conditions(diary=diary, epoch_seconds=0.5), at_once=2)
    assert set(states(trials)) == {"COMPLETE", "PRUNED"}
    store = Store(tmp_path)
    stopped = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert all(store.find(trial.user_attrs[KEY]) is None for trial in stopped)
    assert list((tmp_path / "unfinished").iterdir())
    assert list((tmp_path / "ray").iterdir()) == []


def test_a_failure_that_all_trials_would_meet_ends_a_search_on_ray(cluster: Any, tmp_path: Path):
    space, store = SEARCH.bind(Conditions(fails="data")), Store(tmp_path)
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=4)
        profile = Profile(default=Resources())
        search_on_ray(loop, space, store, lambda cpus, gpus: profile, Observer(), address=cluster.address)
        assert loop.stop_reason == "all trials need a stage that failed. Data failed: the video is torn: mend it."
        assert set(states(optuna_study.trials())) == {"RUNNING"}


class Interrupter(Observer):
    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_search_on_ray_leaves_its_trials_to_go_on_with(cluster: Any, tmp_path: Path):
    space, store = SEARCH.bind(Conditions(epoch_seconds=0.5)), Store(tmp_path)
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=NUM_TRIALS)
        profile = Profile(default=Resources())
        with pytest.raises(KeyboardInterrupt):
            search_on_ray(loop, space, store, lambda *_: profile, Interrupter(), address=cluster.address, at_once=2)
        assert set(states(optuna_study.trials())) == {"RUNNING"}
        assert len(optuna_study.trials()) <= 2


@pytest.mark.parametrize("status", ["stopped", "disk full"])
def test_after_a_trial_that_was_stopped_in_order_none_begins(cluster: Any, tmp_path: Path, status: str):
    space, store = SEARCH.bind(Conditions()), Store(tmp_path)
    with (
        open_study(tmp_path, space) as optuna_study,
        ray_cluster.connect(cluster.address),
        broker_of(store) as broker,
    ):
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=NUM_TRIALS)
        bridge = TuneBridge(loop, lambda stage: Resources(), broker, Observer())
        assert bridge.begin("first")
        assert bridge.begin("second")
        bridge.on_end("first", {"status": status})
        bridge.on_end("second", None)
        assert bridge.begin("third") is None
        assert states(optuna_study.trials()) == ["RUNNING", "RUNNING"]


def test_a_tune_that_fails_is_told_in_a_sentence(tmp_path: Path):
    def fit() -> None:
        raise RuntimeError("no room for a trial\nand more")

    space = SEARCH.bind(Conditions())
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=Store(tmp_path), optuna_study=optuna_study, num_trials=1)
        thread = TuneThread(fit)
        thread.start()
        thread.join()
        with pytest.raises(MachineError, match=r"Ray Tune failed \(RuntimeError: no room for a trial\): run the same"):
            TuneBridge(loop, lambda stage: Resources(), None, Observer()).listen(thread)
