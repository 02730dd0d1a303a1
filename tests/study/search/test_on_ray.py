"""Search on Ray: the trials of a search in one process, side by side, interrupted, and with a lost broker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from study.core.store import Store
from study.execution.events import Observer
from study.execution.ray import connection as ray_cluster
from study.execution.ray.followers import OUTCOME
from study.execution.ray.messages import StageOutcome
from study.execution.ray.options import TuneOptions
from study.execution.ray.runner import broker_of
from study.execution.resources import Profile
from study.search.loop import SearchLoop
from study.search.observer import RunningTrial, SearchObserver
from study.search.on_ray import TuneBridge, search_on_ray
from study.search.optuna_study import KEY, OptunaStudy
from study.search.space import Space
from tests.study.execution.ray.programs import one_named
from tests.study.search.damage import AT_FAULT, DataDamager, repair
from tests.study.search.stub_search import SEARCH, Conditions, Student, open_study, remembered, searched, states
from trainers.stage import Resources, Stage

NUM_TRIALS = 4


class FinishedStages(Observer):
    def __init__(self) -> None:
        self.titles: list[str] = []

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self.titles.append(stage.title)


class Interrupter(Observer):
    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None:
        raise KeyboardInterrupt


class BrokerKiller(Observer):
    """Kills the broker when a student first reports."""

    def __init__(self) -> None:
        self.has_killed = False

    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None:
        if not self.has_killed:
            self.has_killed = True
            one_named("Broker").kill()


class GatedLoop(SearchLoop):
    """Lets a student go on after an epoch once its trial was not stopped there."""

    def on_report(self, running: RunningTrial, stage: Stage, metrics: Mapping[str, float], epoch: int) -> bool:
        is_stopped = super().on_report(running, stage, metrics, epoch)
        assert isinstance(stage, Student)
        if not is_stopped:
            stage.gate_file(epoch).touch()
        return is_stopped


def search_on(
    cluster: Any,
    optuna_study: OptunaStudy,
    space: Space,
    home: Path,
    *,
    at_once: int | None = None,
    observer: Observer | None = None,
    observers: tuple[SearchObserver, ...] = (),
    kind: type[SearchLoop] = SearchLoop,
) -> SearchLoop:
    """Searches on the cluster; returns the loop at its end."""
    store, profile = Store(home), Profile(default=Resources())
    loop = kind(space=space, store=store, optuna_study=optuna_study, num_trials=NUM_TRIALS, observers=observers)
    profiles, observer = (lambda num_cpus, num_gpus: profile), observer or Observer()
    options = TuneOptions(max_concurrent=at_once)
    search_on_ray(loop, space, store, profiles, observer, address=cluster.address, options=options)
    return loop


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """The trials of a search in one process."""
    return remembered(searched(tmp_path_factory.mktemp("undisturbed"), NUM_TRIALS, teacher="none")[1])


def test_a_search_on_ray_one_trial_at_a_time_is_the_search_in_one_process(
    cluster: Any, tmp_path: Path, undisturbed: list[tuple[object, ...]]
):
    space, observer = SEARCH.bind(Conditions(), {"teacher": "none"}), FinishedStages()
    with open_study(tmp_path, space) as optuna_study:
        search_on(cluster, optuna_study, space, tmp_path, at_once=1, observer=observer)
        assert remembered(optuna_study.trials()) == undisturbed
    assert {"Data", "Student", "Judge"} <= set(observer.titles)


def test_a_search_on_ray_runs_trials_side_by_side_and_stops_the_stages_of_bad_ones(cluster: Any, tmp_path: Path):
    gate = tmp_path / "gate"
    gate.mkdir()
    space, store = SEARCH.bind(Conditions(gate=gate)), Store(tmp_path)
    with open_study(tmp_path, space) as optuna_study:
        search_on(cluster, optuna_study, space, tmp_path, at_once=2, kind=GatedLoop)
        trials = optuna_study.trials()
    assert set(states(trials)) == {"COMPLETE", "PRUNED"}
    stopped = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert all(store.find(trial.user_attrs[KEY]) is None for trial in stopped)
    assert list((tmp_path / "unfinished").iterdir())
    assert list((tmp_path / "ray").iterdir()) == []


def test_a_failure_that_all_trials_would_meet_ends_a_search_on_ray(cluster: Any, tmp_path: Path):
    space = SEARCH.bind(Conditions(fails="data"))
    with open_study(tmp_path, space) as optuna_study:
        loop = search_on(cluster, optuna_study, space, tmp_path)
        assert loop.stop_reason == "all trials need a stage that failed. Data failed: the video is torn: mend it."
        assert set(states(optuna_study.trials())) == {"RUNNING"}


def test_an_interrupted_search_on_ray_leaves_its_trials_unfinished(cluster: Any, tmp_path: Path):
    space = SEARCH.bind(Conditions(epoch_seconds=0.5))
    with open_study(tmp_path, space) as optuna_study:
        with pytest.raises(KeyboardInterrupt):
            search_on(cluster, optuna_study, space, tmp_path, at_once=2, observer=Interrupter())
        found = states(optuna_study.trials())
        assert "RUNNING" in found
        assert set(found) <= {"RUNNING", "PRUNED"}  # one may have been stopped just before
        assert len(found) <= 2


def test_a_fault_of_the_machine_ends_a_search_on_ray(
    cluster: Any, tmp_path: Path, undisturbed: list[tuple[object, ...]]
):
    space, damager = SEARCH.bind(Conditions(), {"teacher": "none"}), DataDamager(Store(tmp_path))
    with open_study(tmp_path, space) as optuna_study:
        loop = search_on(cluster, optuna_study, space, tmp_path, at_once=1, observers=(damager,))
        trials = optuna_study.trials()
    assert remembered(trials[:2]) == undisturbed[:2]
    assert states(trials[2:]) == ["RUNNING"]
    assert loop.stop_reason is not None
    assert loop.stop_reason.startswith(f"{AT_FAULT}Student failed: {tmp_path}")
    repair(Store(tmp_path), loop.stop_reason)
    assert remembered(searched(tmp_path, NUM_TRIALS, teacher="none")[1]) == undisturbed


@pytest.mark.kills
def test_a_search_whose_broker_is_killed_comes_to_its_end(cluster: Any, tmp_path: Path):
    space, observer = SEARCH.bind(Conditions(epoch_seconds=0.2)), BrokerKiller()
    with open_study(tmp_path, space) as optuna_study:
        loop = search_on(cluster, optuna_study, space, tmp_path, at_once=2, observer=observer)
        assert observer.has_killed
        assert len(optuna_study.trials()) == NUM_TRIALS
        assert set(states(optuna_study.trials())) <= {"COMPLETE", "PRUNED"}
    assert loop.stop_reason is None


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
        bridge.on_end("first", {OUTCOME: StageOutcome(status=status)})
        bridge.on_end("second", None)
        assert bridge.begin("third") is None
        assert states(optuna_study.trials()) == ["RUNNING", "RUNNING"]
