"""A search on a Ray cluster: Tune asks for trials and stops them, Optuna decides, the broker computes their stages."""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from study.core.graph import key, walk
from study.core.store import DiskFullError, Store
from study.execution.events import Failure, Observer, error_line
from study.execution.executor import Grant
from study.execution.ray import connection
from study.execution.ray.messages import Event, Order, orders
from study.execution.ray.runner import LISTEN_SECONDS, broker_of, cluster_lost_explained, stopping_in_order
from study.execution.ray.tune import Followed, TuneThread, tuning
from study.execution.resources import Profile
from study.search.loop import Asked, Campaign
from study.search.space import Space
from trainers.stage import MachineError, Stage

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial as TuneTrial

MAX_TRIALS = 16
"""At a time."""


def search_on_ray(
    campaign: Campaign,
    space: Space,
    store: Store,
    profile_of: Callable[[int, int], Profile],
    observer: Observer,
    *,
    address: str | None = None,
    at_once: int | None = None,
) -> None:
    """Computes a search's trials, several at a time.

    Args:
        campaign: the search.
        space: what it goes over.
        store: where artifacts go: on a path that every node sees.
        profile_of: the cluster profile for nodes of so many CPUs and GPUs.
        observer: hears of every stage, in this thread.
        address: as for `study.execution.ray.connection.connect`.
        at_once: how many trials are under way at a time; as many as there is room for where not given.

    Raises:
        InputError: a stage cannot be computed with what it is granted.
        MachineError: the cluster cannot be joined, has no room, or a node lacks something; or Tune failed.
        DiskFullError: there is no space for what is computed.
        KeyboardInterrupt: after the stages at work have stopped, ready to go on.
    """
    with connection.connect(address):
        grant = profile_of(*connection.largest_node()).grant
        stages = list(walk(*(corner.stage for corner in space.corners())).values())
        connection.check_room(stages, grant)
        connection.check_nodes(store.home)
        with broker_of(store) as broker:
            desk = Desk(campaign, grant, broker, observer)
            with (
                _at(desk) as name,
                tuning(broker, store.home, _asking(name, at_once or _room(stages, grant))) as thread,
                stopping_in_order(broker),
                closing(desk),
                cluster_lost_explained(),
            ):
                desk.listen(thread)


class Desk:
    """Where the threads of a search meet: Tune's, which begins and stops trials, and the driver's, which listens."""

    def __init__(self, campaign: Campaign, grant: Grant, broker: Any, observer: Observer) -> None:
        self._campaign, self._grant, self._broker, self._observer = campaign, grant, broker, observer
        self._asked: dict[str, Asked] = {}
        self._orders: dict[str, list[Order]] = {}
        self._stages: dict[str, Stage] = {}
        self._lock = threading.RLock()
        self._error: BaseException | None = None
        self._is_closed = False

    def begin(self, trial_id: str) -> dict[str, Any] | None:
        """What a Tune trial shall follow: the next trial of the search, whose stages are ordered; None at its end."""
        asked = None if self._is_closed else self._campaign.begin()
        if asked is None:
            return None
        with self._lock:
            self._asked[trial_id] = asked
            self._stages |= asked.plan.stages
            self._orders[trial_id] = orders(asked.plan.stages, asked.plan.missing, self._grant)
            self._submit(trial_id)
        is_missing = asked.watched is not None and key(asked.watched.stage) in asked.plan.missing
        watched = key(asked.watched.stage) if asked.watched is not None and is_missing else None
        return {"followed": asdict(Followed(final=key(asked.trial.stage), probed=watched))}

    def heard(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Takes what a Tune trial reports; whether to stop it."""
        asked = self._asked[trial_id]
        if asked.watched is None or "epoch" not in result:
            return False
        is_stopped = self._campaign.heard(asked, asked.watched.stage, result, int(result["epoch"]))
        if is_stopped:
            self._release(trial_id)
        return is_stopped

    def ended(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        """Takes what a Tune trial returned, or None where it has died."""
        asked = self._asked[trial_id]
        if self._campaign.is_open(asked):
            match result:
                case {"status": "computed" | "found"}:
                    self._campaign.finish(asked)
                case {"status": "failed" | "blocked", "by": by, "sentence": sentence, "machine": machine}:
                    self._campaign.fail(asked, by, sentence, machine=machine)
                case {"status": _}:  # stopped in order, or the disk is full: it will be asked for again
                    self.close()
                case _ if not self._is_closed:
                    self._campaign.fail(asked, "", "the process that followed the trial died", machine=True)
        self._release(trial_id)

    def close(self) -> None:
        """Lets no trial begin any more; one that now ends without a word was stopped, and will be asked for again."""
        self._is_closed = True

    def listen(self, thread: TuneThread) -> None:
        """Tells the observer what happens to stages until Tune has ended; the broker is taught again if it is lost.

        Raises:
            DiskFullError: there is no space for what is computed.
            MachineError: Tune failed.
        """
        incarnation, since = "", 0
        while thread.is_alive() and self._error is None:
            current, since, events = ray.get(self._broker.events.remote(incarnation, since, LISTEN_SECONDS))
            if current != incarnation:
                incarnation = current
                self._teach()
            for event in events:
                self._hear(event)
        if self._error is not None:
            raise self._error
        if thread.error is not None:
            raise MachineError(
                f"Ray Tune failed ({error_line(thread.error)}): type the same command again; no trial is lost."
            ) from thread.error

    @contextmanager
    def errors_kept(self) -> Iterator[None]:
        """Keeps for the driver what is raised in Tune's thread, which would only log it."""
        try:
            yield
        except BaseException as error:
            self._error = self._error or error
            self.close()
            raise

    def _submit(self, trial_id: str) -> None:
        ray.get(self._broker.submit.remote(self._orders[trial_id], trial_id))

    def _teach(self) -> None:
        """Asks again for all trials, whichever of them a new broker has been asked for: it joins what it knows."""
        with self._lock:
            for trial_id in self._orders:
                self._submit(trial_id)

    def _release(self, trial_id: str) -> None:
        with self._lock:
            keys = [order.key for order in self._orders.pop(trial_id, [])]
            if keys:
                ray.get(self._broker.release.remote(trial_id, keys))

    def _hear(self, event: Event) -> None:
        stage = self._stages.get(event.key)
        if stage is None:
            return
        match event.kind:
            case "started":
                self._observer.started(stage, event.resumed, event.where)
            case "progress":
                self._observer.progress(stage, event.metrics, event.epoch)
            case "waiting":
                self._observer.waiting(stage, event.reason)
            case "interrupted":
                self._observer.interrupted(stage, event.reason)
            case "disk full":
                raise DiskFullError(event.reason)
            case "finished":
                self._observer.finished(stage, event.seconds)
            case "found":
                self._observer.found(stage)
            case "failed":
                self._observer.failed(stage, event.failure or Failure("it failed", expected=False))
            case "blocked":
                self._observer.blocked(stage, self._stages[event.by])


_DESKS: dict[str, Desk] = {}
"""Tune copies and pickles its searcher and its scheduler, which therefore hold a name and share the desk of it."""


class AskingSearcher(Searcher):
    """Tune's way to the search: it asks for trials, and says how they ended."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        desk = _DESKS[self._name]
        with desk.errors_kept():
            return desk.begin(trial_id) or Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        desk = _DESKS[self._name]
        with desk.errors_kept():
            desk.ended(trial_id, None if error else result)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()  # Optuna's storage is what lasts

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a search goes on from Optuna's storage, never from Tune's")


class StoppingScheduler(FIFOScheduler):
    """Stops the trials that the search's pruner stops; the horizon of their schedules stays what it was."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name

    def on_trial_result(self, tune_controller: "TuneController", trial: "TuneTrial", result: dict[str, Any]) -> str:
        desk = _DESKS[self._name]
        with desk.errors_kept():
            is_stopped = desk.heard(str(trial.trial_id), result)
        return TrialScheduler.STOP if is_stopped else TrialScheduler.CONTINUE


@contextmanager
def _at(desk: Desk) -> Iterator[str]:
    """A name by which Tune's copies find a desk."""
    name = uuid.uuid4().hex
    _DESKS[name] = desk
    try:
        yield name
    finally:
        del _DESKS[name]


def _asking(name: str, at_once: int) -> tune.TuneConfig:
    return tune.TuneConfig(
        num_samples=-1,  # until the search has no more
        max_concurrent_trials=at_once,
        search_alg=AskingSearcher(name),
        scheduler=StoppingScheduler(name),
    )


def _room(stages: Sequence[Stage], grant: Grant) -> int:
    """How many of the largest stages the cluster could compute at a time."""
    cpus, gpus = connection.totals()
    needs = {(r.workers * r.threads, r.workers * r.gpus) for r in map(grant, stages)}
    fitting = [min(int(cpus / threads), int(gpus / each) if each else MAX_TRIALS) for threads, each in needs]
    return min(max(min(fitting), 1), MAX_TRIALS)
