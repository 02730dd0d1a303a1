"""Bridge between Tune and the loop of a search, with a stub in place of the broker."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import ray

from study.core.store import Store
from study.execution.events import Failure, Observer, StageEvent
from study.execution.ray.followers import FOLLOWED, OUTCOME
from study.execution.ray.messages import StageOutcome, StageRequest
from study.execution.ray.tune import TuneThread
from study.search.loop import MAX_FAILURES_IN_A_ROW, SearchLoop
from study.search.on_ray import TuneBridge
from study.search.optuna_study import OptunaStudy
from tests.study.search.stub_search import SEARCH, Conditions, open_study, states
from trainers.stage import MachineError, Resources

AT_FAULT = "the machine is at fault, not the hyperparameters. "
PATIENCE_SECONDS = 300
NUM_TRIALS = 6


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

    def _submit(self, requests: list[StageRequest], asker: str) -> str:
        self.known |= {request.key for request in requests}
        return self._incarnations[0]

    def _release(self, asker: str, keys: list[str]) -> None:
        self.known -= set(keys)

    def _events(self, incarnation: str, since: int, seconds: float) -> tuple[str, int, list[StageEvent]]:
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
        final: str = begun[FOLLOWED]["final"]
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
def test_a_verdict_that_blames_the_machine_ends_a_search(opened: Opened, status: Literal["failed", "blocked"]):
    final = opened.begin("first")
    failure = Failure(sentence="no GPU: mend it.", fault="machine", key=final, title="Judge")
    opened.bridge.on_end("first", {OUTCOME: StageOutcome(status=status, failure=failure)})
    assert opened.loop.stop_reason == f"{AT_FAULT}Judge failed: no GPU: mend it."
    assert opened.bridge.begin("second") is None
    assert states(opened.optuna_study.trials()) == ["RUNNING"]


def test_verdicts_that_blame_no_machine_end_a_search_after_three(opened: Opened):
    for number in range(MAX_FAILURES_IN_A_ROW):
        failure = Failure(sentence="no.", fault="input", key=opened.begin(str(number)), title="Judge")
        opened.bridge.on_end(str(number), {OUTCOME: StageOutcome(status="failed", failure=failure)})
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
