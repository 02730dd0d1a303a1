"""Runs a plan on Ray: the broker has its stages computed, Tune follows its trials, the driver reads the events."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from study.core.disk import DiskFullError
from study.core.graph import inputs, key, walk
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import (
    SETTLED,
    Blocked,
    DiskFull,
    Interrupted,
    Observer,
    Observers,
    Outcome,
    StageEvent,
    Started,
)
from study.execution.ray.options import DEFAULTS, TuneOptions
from study.execution.resources import Profile
from trainers.stage import MachineError

if TYPE_CHECKING:
    from study.execution.ray.followers import FollowedTrial
    from study.execution.ray.messages import StageRequest

MAX_FOLLOWERS = 16
FOLLOWERS_PER_CPU = 2
"""A process that follows trials costs memory."""
LISTEN_SECONDS = 0.5
INTERRUPT_SECONDS = 90
"""Time limit for stages to stop; stages with several workers need longest."""
PLAN = "plan"


def run_on_ray(
    plan: Plan,
    store: Store,
    profile_of: Callable[[int, int], Profile],
    observer: Observer,
    *,
    address: str | None = None,
    options: TuneOptions = DEFAULTS,
) -> Outcome:
    """Computes every missing stage of a plan, side by side where there is room; if none is missing, without Ray.

    A stage that raises fails alone: what needs it is blocked, everything else goes on.

    Args:
        plan: the stages.
        store: where they go: on a path that every node sees.
        profile_of: the cluster profile for nodes with these numbers of CPUs and GPUs.
        observer: hears of every stage, in this thread.
        address: as for `study.execution.ray.connection.connect`.
        options: what Ray Tune reports of the trials, and its callbacks.

    Raises:
        InputError: a stage cannot be computed with what it is granted.
        MachineError: the cluster cannot be joined, has no room, or a node lacks something.
        DiskFullError: there is no space for what is computed; finished stages are kept.
        KeyboardInterrupt: after the stages at work have stopped, ready to go on; a second one does not wait for them.
    """
    outcome = Outcome()
    if not plan.missing:
        return outcome
    from study.execution.ray import connection, nodes, preflight
    from study.execution.ray.pickling import requests_for
    from study.execution.ray.tune import callbacks_named, following

    callbacks_named(options.callbacks)  # one that cannot be had is refused before anything runs

    missing = [plan.stages[stage_key] for stage_key in plan.missing]
    with connection.connect(address) as description:
        observer.on_connected(description)
        grant = profile_of(*nodes.largest_node()).grant
        preflight.check_room(missing, grant)
        preflight.check_nodes(store.home)
        trials = _followed(plan)
        most = options.max_concurrent or min(MAX_FOLLOWERS, FOLLOWERS_PER_CPU * int(nodes.totals()[0]))
        with (
            broker_of(store) as broker,
            following(trials, broker, store.home, options, max_processes=most),
            stopping_in_order(broker),
        ):
            _Driver(plan, requests_for(plan.stages, plan.missing, grant), observer, outcome, broker).read()
    return outcome


def _followed(plan: Plan) -> "list[FollowedTrial]":
    """The trials whose last stage is missing, one for each such stage."""
    from study.execution.ray.followers import FollowedTrial

    missing = frozenset(plan.missing)
    followed: dict[str, FollowedTrial] = {}
    for trial in plan.trials:
        final = key(trial.stage)
        if final in missing and final not in followed:
            stages = {k: stage for k, stage in walk(trial.stage).items() if stage.curves and k in missing}
            curves = {f"{stage.curves}/": k for k, stage in stages.items()}  # of equal names, those of the last stage
            followed[final] = FollowedTrial(trial=trial, final=final, curves=curves)
    return list(followed.values())


@contextmanager
def broker_of(store: Store) -> Iterator[Any]:
    """A broker for the length of the block."""
    import ray

    from study.execution.ray.broker import start_broker

    broker = start_broker(store.home)
    try:
        yield broker
    finally:
        ray.kill(broker)


@contextmanager
def stopping_in_order(broker: Any) -> Iterator[None]:
    """Stops the stages at work in order where the block ends early, for any reason."""
    import ray

    try:
        yield
    except BaseException:
        try:
            ray.get(broker.stop.remote(), timeout=INTERRUPT_SECONDS)
        except ray.exceptions.RayError as error:
            print(f"some stages did not stop in time ({type(error).__name__}); they will go on from their checkpoints")
        raise


@contextmanager
def translate_cluster_errors() -> Iterator[None]:
    """Turns errors of Ray, where nothing answers any more, into a MachineError that says what to do."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        sentence = str(error).strip().partition("\n")[0]
        raise MachineError(
            f"the Ray cluster was lost ({type(error).__name__}: {sentence}): type the same command again; finished "
            "stages are kept and the others go on from their checkpoints."
        ) from error


class _Driver:
    """Submits a plan's requests to the broker and passes its events on, until every stage is settled.

    The broker forgets everything when Ray has to restart it: then the requests are submitted again.
    """

    def __init__(
        self, plan: Plan, requests: "list[StageRequest]", observer: Observer, outcome: Outcome, broker: Any
    ) -> None:
        self._plan = plan
        self._requests = {request.key: request for request in requests}
        self._observers = Observers(outcome, observer)
        self._outcome = outcome
        self._broker = broker
        self._unsettled = dict.fromkeys(plan.missing)
        self._at_work: set[str] = set()

    def read(self) -> None:
        """Returns when every stage is computed, found, failed or blocked."""
        import ray

        with translate_cluster_errors():
            incarnation, since = self._submit(), 0
            while self._unsettled:
                call = self._broker.events.remote(incarnation, since, LISTEN_SECONDS)
                current, since, events = ray.get(call)
                if current != incarnation:
                    self._lose_broker()
                    incarnation = self._submit()
                for event in events:
                    self._take(event)

    def _submit(self) -> str:
        import ray

        wanted = [self._requests[stage_key] for stage_key in self._unsettled]
        incarnation: str = ray.get(self._broker.submit.remote(wanted, PLAN))
        return incarnation

    def _lose_broker(self) -> None:
        """The broker was restarted: what was at work has stopped, and it does not know what failed."""
        for stage_key in list(self._at_work):
            self._take(Interrupted(key=stage_key, reason="the broker was lost"))
        for stage_key in list(self._unsettled):
            needed = inputs(self._plan.stages[stage_key]).values()
            root = next((root for stage in needed if (root := self._outcome.root_failure(key(stage)))), None)
            if root is not None:
                self._take(Blocked(key=stage_key, failure=root))

    def _take(self, event: StageEvent) -> None:
        if event.key not in self._unsettled:
            return
        if isinstance(event, Started):
            self._at_work.add(event.key)
        elif isinstance(event, (Interrupted, *SETTLED)):
            self._at_work.discard(event.key)
        if isinstance(event, SETTLED):
            del self._unsettled[event.key]
        self._observers.on_event(self._plan.stages[event.key], event)
        if isinstance(event, DiskFull):
            raise DiskFullError(event.failure.sentence)
