"""What ends a search before its time, with its trials kept to go on with: faults of the machine, and a lost broker."""

import math
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import ray
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from study import Choice, Trial
from study.analysis.results import HISTORY
from study.core.disk import DiskFullError
from study.core.graph import key, walk
from study.core.manifest import LOG
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import Failure, Observer, failure_of
from study.execution.local import run
from study.execution.ray.messages import Event, Order
from study.execution.ray.tune import TuneThread
from study.execution.resources import Profile
from study.search.lines import SearchLinePrinter
from study.search.loop import MAX_FAILURES_IN_A_ROW, SearchLoop
from study.search.observer import RunningTrial, SearchObserver
from study.search.on_ray import TuneBridge, search_on_ray
from study.search.optuna_study import KEY, PROBLEM, OptunaStudy
from study.search.space import Parameters
from tests.study.execution.ray.test_kills import one_named
from tests.study.search.searched import SEARCH, Conditions, open_study, remembered, searched
from trainers.stage import InputError, MachineError, Resources, Stage

AT_FAULT = "the machine is at fault, not the hyperparameters. "
PATIENCE_SECONDS = 60
NUM_TRIALS = 6


def states(trials: list[FrozenTrial]) -> list[str]:
    return [trial.state.name for trial in trials]


def damage(store: Store, stage_key: str, name: str = LOG) -> None:
    """Has a file of an artifact be another one than was published."""
    path = store.check(stage_key) / name
    path.write_bytes(path.read_bytes() + b"!")


def mend(store: Store, sentence: str) -> None:
    """Does what a sentence says."""
    (command,) = re.findall(r"`freelunch remove (\w+)`", sentence)
    store.remove(store.key_beginning(command))


def data_of(trial: Trial) -> str:
    """The key of the data that a trial without a teacher is trained on; no hyperparameter touches it."""
    return next(stage_key for stage_key, stage in walk(trial.stage).items() if stage.title == "Data")


class Vandal(SearchObserver):
    """Damages the data when the third trial begins."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        if trial.number == 2:
            damage(self._store, data_of(trial))


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
    assert failure_of(MachineError("no GPU: mend it.")) == Failure("no GPU: mend it.", expected=True, machine=True)
    assert failure_of(DiskFullError("full")).machine
    assert failure_of(InputError("torn: mend it.")) == Failure("torn: mend it.", expected=True, machine=False)
    assert not failure_of(ValueError("infinite")).machine


def test_an_input_that_is_damaged_ends_a_search_and_the_same_command_goes_on_once_it_is_mended(
    tmp_path: Path, undisturbed: list[tuple[Any, ...]]
):
    store = Store(tmp_path)
    loop, trials = searched(tmp_path, NUM_TRIALS, teacher="none", observers=(Vandal(store),))
    assert remembered(trials[:2]) == undisturbed[:2]
    assert states(trials[2:]) == ["RUNNING"]
    assert loop.stop_reason is not None
    assert loop.stop_reason.startswith(f"{AT_FAULT}Student failed: {store.home}")
    assert loop.num_failed == 0
    still, same = searched(tmp_path, NUM_TRIALS, teacher="none")
    assert (still.stop_reason, remembered(same)) == (loop.stop_reason, remembered(trials))
    mend(store, loop.stop_reason)
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
    mend(store, loop.stop_reason)
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
            loop.fail(running, key(running.signal.stage), "no.", machine=False)

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


def on_ray(cluster: Any, home: Path) -> tuple[SearchLoop, list[FrozenTrial]]:
    """Searches on Ray, one trial at a time and without teachers."""
    space, store, profile = SEARCH.bind(Conditions(), {"teacher": "none"}), Store(home), Profile(default=Resources())
    with open_study(home, space) as optuna_study:
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=4, observers=(Vandal(store),))
        search_on_ray(loop, space, store, lambda *_: profile, Observer(), address=cluster.address, at_once=1)
        return loop, optuna_study.trials()


def test_a_fault_of_the_machine_ends_a_search_on_ray(cluster: Any, tmp_path: Path, undisturbed: list[tuple[Any, ...]]):
    loop, trials = on_ray(cluster, tmp_path)
    assert remembered(trials[:2]) == undisturbed[:2]
    assert states(trials[2:]) == ["RUNNING"]
    assert loop.stop_reason is not None
    assert loop.stop_reason.startswith(f"{AT_FAULT}Student failed: {tmp_path}")
    mend(Store(tmp_path), loop.stop_reason)
    assert remembered(searched(tmp_path, 4, teacher="none")[1]) == undisturbed[:4]


class StubBroker:
    """Stands for the actor's handle: knows what it was asked for until it is lost, and computes nothing."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.listened = threading.Event()
        self._incarnations = ["first", "second"]
        self.submit, self.release, self.events = map(Method, (self._submit, self._release, self._events))

    def lose(self) -> None:
        """Dies; it is back at once, and knows nothing."""
        self.known.clear()
        del self._incarnations[0]

    def _submit(self, orders: list[Order], asker: str) -> str:
        self.known |= {order.key for order in orders}
        return self._incarnations[0]

    def _release(self, asker: str, keys: list[str]) -> None:
        self.known -= set(keys)

    def _events(self, incarnation: str, since: int, seconds: float) -> tuple[str, int, list[Event]]:
        if incarnation == self._incarnations[0]:  # what it said of itself was heard
            self.listened.set()
        return self._incarnations[0], 0, []


class Method:
    """A method of a stub, to be called as an actor's; `ray.get` hands on what it returns."""

    def __init__(self, remote: Callable[..., object]) -> None:
        self.remote = remote


@dataclass(frozen=True)
class Opened:
    """A bridge, and what lies behind it."""

    bridge: TuneBridge
    loop: SearchLoop
    optuna_study: OptunaStudy
    broker: StubBroker

    def begin(self, trial_id: str) -> str:
        """Begins a trial; the key of its last stage."""
        begun = self.bridge.begin(trial_id)
        assert begun is not None
        final: str = begun["followed"]["final"]
        return final


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """A search at its beginning, without Ray."""
    monkeypatch.setattr(ray, "get", lambda reply: reply)
    space = SEARCH.bind(Conditions())
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=Store(tmp_path), optuna_study=optuna_study, num_trials=NUM_TRIALS)
        broker = StubBroker()
        yield Opened(TuneBridge(loop, lambda stage: Resources(), broker, Observer()), loop, optuna_study, broker)


@pytest.mark.parametrize("status", ["failed", "blocked"])
def test_a_verdict_that_blames_the_machine_ends_a_search(opened: Opened, status: str):
    final = opened.begin("first")
    verdict = {"status": status, "by": final, "sentence": "no GPU: mend it.", "machine": True}
    opened.bridge.on_end("first", verdict)
    assert opened.loop.stop_reason == f"{AT_FAULT}Judge failed: no GPU: mend it."
    assert opened.bridge.begin("second") is None
    assert states(opened.optuna_study.trials()) == ["RUNNING"]


def test_verdicts_that_blame_no_machine_end_a_search_after_three(opened: Opened):
    for number in range(MAX_FAILURES_IN_A_ROW):
        verdict = {"status": "failed", "by": opened.begin(str(number)), "sentence": "no.", "machine": False}
        opened.bridge.on_end(str(number), verdict)
    assert opened.bridge.begin("another") is None
    assert states(opened.optuna_study.trials()) == ["FAIL"] * MAX_FAILURES_IN_A_ROW
    assert opened.loop.stop_reason is not None
    assert opened.loop.stop_reason.endswith("The last: Judge failed: no.")


def test_a_trial_that_nobody_can_follow_is_asked_for_again(opened: Opened):
    opened.begin("first")
    opened.bridge.on_end("first", None)
    assert opened.loop.stop_reason == f"{AT_FAULT}the process that followed the trial died"
    assert opened.bridge.begin("second") is None
    assert states(opened.optuna_study.trials()) == ["RUNNING"]


def test_a_lost_broker_is_told_of_every_trial_though_another_begins_before_the_loss_is_heard_of(opened: Opened):
    finals = [opened.begin("first")]
    opened.broker.lose()
    finals.append(opened.begin("second"))
    tune = TuneThread(lambda: opened.broker.listened.wait(PATIENCE_SECONDS))
    tune.start()
    opened.bridge.listen(tune)
    assert opened.broker.listened.is_set()
    assert opened.broker.known >= set(finals)


class KillsBroker(Observer):
    """Kills the broker when a student first reports."""

    def __init__(self) -> None:
        self.killed = False

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        if not self.killed:
            self.killed = True
            one_named("Broker").kill()


def test_a_search_whose_broker_is_killed_comes_to_its_end(cluster: Any, tmp_path: Path):
    space, store, observer = SEARCH.bind(Conditions(epoch_seconds=0.2)), Store(tmp_path), KillsBroker()
    profile = Profile(default=Resources())
    with open_study(tmp_path, space) as optuna_study:
        loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=3)
        search_on_ray(loop, space, store, lambda *_: profile, observer, address=cluster.address, at_once=2)
        assert observer.killed
        assert len(optuna_study.trials()) == 3
        assert set(states(optuna_study.trials())) <= {"COMPLETE", "PRUNED"}
    assert loop.stop_reason is None


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
