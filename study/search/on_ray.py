"""Search on a Ray cluster: Tune runs the trials, Optuna decides about them, the broker computes their stages."""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import cloudpickle, tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from study.core.disk import DiskFullError
from study.core.graph import key, walk
from study.core.store import Store
from study.execution.events import DiskFull, Failure, Observer, StageEvent, error_line
from study.execution.executor import Grant
from study.execution.ray import connection, nodes, preflight
from study.execution.ray.followers import OUTCOME, FollowedTrial
from study.execution.ray.messages import StageOutcome, StageRequest
from study.execution.ray.options import DEFAULTS, TuneOptions
from study.execution.ray.pickling import pickled_function, requests_for
from study.execution.ray.runner import LISTEN_SECONDS, broker_of, stopping_in_order, translate_cluster_errors
from study.execution.ray.tune import TuneThread, callbacks_named, tuning
from study.execution.resources import Profile
from study.search.loop import SearchLoop
from study.search.observer import RunningTrial
from study.search.space import Space
from trainers.stage import MachineError, Stage

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial as TuneTrial

FOLLOWER_DIED = Failure(sentence="the process that followed the trial died", fault="machine")
MAX_TRIALS = 16
"""Trials at a time."""


def search_on_ray(
    loop: SearchLoop,
    space: Space,
    store: Store,
    profile_of: Callable[[int, int], Profile],
    observer: Observer,
    *,
    address: str | None = None,
    options: TuneOptions = DEFAULTS,
) -> None:
    """Computes a search's trials, several at a time.

    Args:
        loop: the search.
        space: its space.
        store: the artifacts, on a path that every node sees.
        profile_of: the cluster profile for nodes with these numbers of CPUs and GPUs.
        observer: is called for every stage, in this thread.
        address: as for `study.execution.ray.connection.connect`.
        options: callbacks of Tune, and the number of trials at a time; as many as there is room for where not given.

    Raises:
        InputError: a stage cannot be computed with what it is granted.
        MachineError: the cluster cannot be joined, has no room, or a node lacks something; or Tune failed.
        DiskFullError: the disk is full.
        KeyboardInterrupt: after the running stages have stopped, so that they can be resumed.
    """
    callbacks_named(options.callbacks)  # one that cannot be had is refused before anything runs
    options = replace(options, score=PickledScore(value=pickled_function(space.search.objective.value)))
    with connection.connect(address):
        grant = profile_of(*nodes.largest_node()).grant
        stages = list(walk(*(extreme.stage for extreme in space.extreme_trials())).values())
        preflight.check_room(stages, grant)
        preflight.check_nodes(store.home)
        at_once = options.max_concurrent or _max_concurrent(stages, grant)
        with broker_of(store) as broker:
            bridge = TuneBridge(loop, grant, broker, observer)
            with (
                _registered(bridge) as name,
                tuning(broker, store.home, _tune_config(name, at_once), options) as thread,
                stopping_in_order(broker),
                closing(bridge),
                translate_cluster_errors(),
            ):
                bridge.listen(thread)


@dataclass(frozen=True, kw_only=True)
class PickledScore:
    """Final score of a trial for Tune's callbacks, read in a process that need not have the file of the objective.

    Attributes:
        value: the objective's function from an artifact to the value, pickled.
    """

    value: bytes

    def __call__(self, folder: Path) -> Mapping[str, float]:
        try:
            return {"objective": cloudpickle.loads(self.value)(folder)}
        except Exception:  # of a user's function: the loop calls it, too, and says what is wrong
            return {}


class TuneBridge:
    """Bridge between the threads of a search: that of Tune, which begins and stops trials, and that of the driver."""

    def __init__(self, loop: SearchLoop, grant: Grant, broker: Any, observer: Observer) -> None:
        self._loop, self._grant, self._broker, self._observer = loop, grant, broker, observer
        self._running: dict[str, RunningTrial] = {}
        self._requests: dict[str, list[StageRequest]] = {}
        self._stages: dict[str, Stage] = {}
        self._lock = threading.RLock()
        self._error: BaseException | None = None
        self._is_closed = False

    def begin(self, trial_id: str) -> dict[str, Any] | None:
        """Submits the stages of the next trial; returns the parameters of its Tune trial, or None at the end."""
        running = None if self._is_closed else self._loop.begin()
        if running is None:
            return None
        with self._lock:
            self._running[trial_id] = running
            self._stages |= running.plan.stages
            self._requests[trial_id] = requests_for(running.plan.stages, running.plan.missing, self._grant)
            self._submit(trial_id)
        is_missing = running.signal is not None and key(running.signal.stage) in running.plan.missing
        curves = {"": key(running.signal.stage)} if running.signal is not None and is_missing else {}
        return FollowedTrial(trial=running.trial, final=key(running.trial.stage), curves=curves).config()

    def on_report(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Takes the report of a Tune trial; returns whether to stop it."""
        running = self._running[trial_id]
        if running.signal is None or "epoch" not in result:
            return False
        is_stopped = self._loop.on_report(running, running.signal.stage, result, int(result["epoch"]))
        if is_stopped:
            self._release(trial_id)
        return is_stopped

    def on_end(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        """Takes the last result of a Tune trial; None where its process died."""
        running = self._running[trial_id]
        if self._loop.is_open(running):
            match result and result.get(OUTCOME):
                case StageOutcome(status="computed" | "found"):
                    self._loop.finish(running)
                case StageOutcome(status="failed" | "blocked", failure=Failure() as failure):
                    self._loop.fail(running, failure)
                case StageOutcome():  # stopped by the driver, or the disk is full: the trial stays unfinished
                    self.close()
                case _ if not self._is_closed:
                    self._loop.fail(running, FOLLOWER_DIED)
        self._release(trial_id)

    def close(self) -> None:
        """Begins no further trial; one that ends without a result from now on stays unfinished."""
        self._is_closed = True

    def listen(self, thread: TuneThread) -> None:
        """Passes stage events to the observer until Tune has ended; submits all trials again to a restarted broker.

        Raises:
            DiskFullError: the disk is full.
            MachineError: Tune failed.
        """
        incarnation, since = "", 0
        while thread.is_alive() and self._error is None:
            current, since, events = ray.get(self._broker.events.remote(incarnation, since, LISTEN_SECONDS))
            if current != incarnation:
                incarnation = current
                self._resubmit()
            for event in events:
                self._pass_on(event)
        if self._error is not None:
            raise self._error
        if thread.error is not None:
            raise MachineError(
                f"Ray Tune failed ({error_line(thread.error)}): run the same command again; no trial is lost."
            ) from thread.error

    @contextmanager
    def errors_kept(self) -> Iterator[None]:
        """Keeps an error of Tune's thread for the driver, as Tune would only log it."""
        try:
            yield
        except BaseException as error:
            self._error = self._error or error
            self.close()
            raise

    def _submit(self, trial_id: str) -> None:
        ray.get(self._broker.submit.remote(self._requests[trial_id], trial_id))

    def _resubmit(self) -> None:
        """Submits all trials again; a stage that the new broker knows already is not computed twice."""
        with self._lock:
            for trial_id in self._requests:
                self._submit(trial_id)

    def _release(self, trial_id: str) -> None:
        with self._lock:
            keys = [request.key for request in self._requests.pop(trial_id, [])]
            if keys:
                ray.get(self._broker.release.remote(trial_id, keys))

    def _pass_on(self, event: StageEvent) -> None:
        stage = self._stages.get(event.key)
        if stage is None:
            return
        self._observer.on_event(stage, event)
        if isinstance(event, DiskFull):
            raise DiskFullError(event.failure.sentence)


_BRIDGES: dict[str, TuneBridge] = {}
"""By name: Tune copies and pickles its searcher and its scheduler, so that these hold a name and no bridge."""


class BridgeSearcher(Searcher):
    """Tune searcher that takes its trials from a bridge, and returns their results to it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        bridge = _BRIDGES[self._name]
        with bridge.errors_kept():
            return bridge.begin(trial_id) or Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        bridge = _BRIDGES[self._name]
        with bridge.errors_kept():
            bridge.on_end(trial_id, None if error else result)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()  # the trials are in Optuna's storage

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a search goes on from Optuna's storage, never from Tune's")


class BridgeScheduler(FIFOScheduler):
    """Tune scheduler that stops the trials that the pruner stops; learning rate schedules keep their length."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name

    def on_trial_result(self, tune_controller: "TuneController", trial: "TuneTrial", result: dict[str, Any]) -> str:
        bridge = _BRIDGES[self._name]
        with bridge.errors_kept():
            is_stopped = bridge.on_report(str(trial.trial_id), result)
        return TrialScheduler.STOP if is_stopped else TrialScheduler.CONTINUE


@contextmanager
def _registered(bridge: TuneBridge) -> Iterator[str]:
    """Registers a bridge under a name, by which copies of the searcher and scheduler find it."""
    name = uuid.uuid4().hex
    _BRIDGES[name] = bridge
    try:
        yield name
    finally:
        del _BRIDGES[name]


def _tune_config(name: str, at_once: int) -> tune.TuneConfig:
    return tune.TuneConfig(
        num_samples=-1,  # until the search ends
        max_concurrent_trials=at_once,
        search_alg=BridgeSearcher(name),
        scheduler=BridgeScheduler(name),
    )


def _max_concurrent(stages: Sequence[Stage], grant: Grant) -> int:
    """Number of the largest stages that the cluster could compute at a time."""
    cpus, gpus = nodes.totals()
    needs = {(r.workers * r.threads, r.workers * r.gpus) for r in map(grant, stages)}
    fitting = [min(int(cpus / threads), int(gpus / each) if each else MAX_TRIALS) for threads, each in needs]
    return min(max(min(fitting), 1), MAX_TRIALS)
