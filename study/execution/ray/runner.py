"""Runs a plan on a Ray cluster: the broker has its stages computed, Tune follows its trials, and the driver listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from study.core.disk import DiskFullError
from study.core.graph import inputs, key, walk
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import Observer, Outcome
from study.execution.resources import Profile
from trainers.stage import MachineError

if TYPE_CHECKING:
    from study.execution.ray.messages import Event, Order
    from study.execution.ray.tune import Followed

MAX_TRIALS = 16
TRIALS_PER_CPU = 2
"""A trial that waits costs memory and the start of a process."""
LISTEN_SECONDS = 0.5
INTERRUPT_SECONDS = 90
"""How long stages may take to stop; a gang of workers takes its time."""
PLAN = "plan"


def run_on_ray(
    plan: Plan,
    store: Store,
    profile_of: Callable[[int, int], Profile],
    observer: Observer,
    *,
    address: str | None = None,
    max_trials: int = MAX_TRIALS,
) -> Outcome:
    """Computes every missing stage of a plan, side by side where there is room; if none is missing, without Ray.

    A stage that raises fails alone: what needs it is blocked, everything else goes on.

    Args:
        plan: the stages.
        store: where they go: on a path that every node sees.
        profile_of: the cluster profile for nodes of so many CPUs and GPUs.
        observer: hears of every stage, in this thread.
        address: as for `study.execution.ray.connection.connect`.
        max_trials: how many trials are followed at a time, at most.

    Raises:
        InputError: a stage cannot be computed with what it is granted.
        MachineError: the cluster cannot be joined, has no room, or a node lacks something.
        DiskFullError: there is no space for what is computed; finished stages are kept.
        KeyboardInterrupt: after the stages at work have stopped, ready to go on; a second one does not wait for them.
    """
    outcome = Outcome()
    if not plan.missing:
        return outcome
    from study.execution.ray import connection
    from study.execution.ray.messages import orders
    from study.execution.ray.tune import following

    missing = [plan.stages[stage_key] for stage_key in plan.missing]
    with connection.connect(address) as description:
        observer.connected(description)
        grant = profile_of(*connection.largest_node()).grant
        connection.check_room(missing, grant)
        connection.check_nodes(store.home)
        trials = _followed(plan)
        max_concurrent = min(max_trials, TRIALS_PER_CPU * connection.num_cpus(), len(trials))
        with (
            broker_of(store) as broker,
            following(trials, broker, store.home, max_concurrent),
            stopping_in_order(broker),
        ):
            _Driver(plan, orders(plan.stages, plan.missing, grant), observer, outcome, broker).listen()
    return outcome


def _followed(plan: Plan) -> "list[Followed]":
    """The trials whose last stage is missing, one for each such stage."""
    from study.execution.ray.tune import Followed

    missing = frozenset(plan.missing)
    finals = {key(trial.stage): trial.stage for trial in plan.trials}
    trials = []
    for final_key, final in finals.items():
        if final_key in missing:
            trained = [k for k, stage in walk(final).items() if stage.trains_on_workers and k in missing]
            trials.append(Followed(final=final_key, probed=trained[-1] if trained else None))
    return trials


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
    """Whatever ends the block early, the stages at work are stopped in order."""
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
def cluster_lost_explained() -> Iterator[None]:
    """Turns what Ray raises, when nothing answers any more, into a sentence that says what to do."""
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
    """Tells the broker what to compute and the observer what happens, until every stage is settled.

    The broker forgets everything when Ray has to restart it: then it is told again.
    """

    def __init__(self, plan: Plan, orders: "list[Order]", observer: Observer, outcome: Outcome, broker: Any) -> None:
        self._plan = plan
        self._orders = {order.key: order for order in orders}
        self._observer = observer
        self._outcome = outcome
        self._broker = broker
        self._unsettled = dict.fromkeys(plan.missing)
        self._at_work: set[str] = set()

    def listen(self) -> None:
        """Returns when every stage is computed, found, failed or blocked."""
        import ray

        with cluster_lost_explained():
            incarnation, since = self._submit(), 0
            while self._unsettled:
                call = self._broker.events.remote(incarnation, since, LISTEN_SECONDS)
                current, since, events = ray.get(call)
                if current != incarnation:
                    self._lose_broker()
                    incarnation = self._submit()
                for event in events:
                    self._hear(event)

    def _submit(self) -> str:
        import ray

        wanted = [self._orders[stage_key] for stage_key in self._unsettled]
        incarnation: str = ray.get(self._broker.submit.remote(wanted, PLAN))
        return incarnation

    def _lose_broker(self) -> None:
        """The broker was restarted: what was at work has stopped, and it does not know what failed."""
        for stage_key in self._at_work:
            self._observer.interrupted(self._plan.stages[stage_key], "the broker was lost")
        self._at_work.clear()
        for stage_key in list(self._unsettled):
            needed = inputs(self._plan.stages[stage_key]).values()
            culprit = next((root for stage in needed if (root := self._outcome.root_failure(key(stage)))), None)
            if culprit is not None:
                self._block(stage_key, culprit)

    def _hear(self, event: "Event") -> None:
        stage = self._plan.stages[event.key]
        if event.key not in self._unsettled:
            return
        match event.kind:
            case "started":
                self._at_work.add(event.key)
                self._observer.started(stage, event.resumed, event.where)
            case "progress":
                self._observer.progress(stage, event.metrics, event.epoch)
            case "waiting":
                self._observer.waiting(stage, event.reason)
            case "interrupted":
                self._at_work.discard(event.key)
                self._observer.interrupted(stage, event.reason)
            case "disk full":
                raise DiskFullError(event.reason)
            case "finished":
                self._settle(event.key)
                self._outcome.computed.append(event.key)
                self._observer.finished(stage, event.seconds)
            case "found":
                self._settle(event.key)
                self._observer.found(stage)
            case "failed":
                assert event.failure is not None
                self._settle(event.key)
                self._outcome.failures[event.key] = event.failure
                self._observer.failed(stage, event.failure)
            case "blocked":
                self._block(event.key, event.by)

    def _block(self, stage_key: str, culprit: str) -> None:
        self._settle(stage_key)
        self._outcome.blocked[stage_key] = culprit
        self._observer.blocked(self._plan.stages[stage_key], self._plan.stages[culprit])

    def _settle(self, stage_key: str) -> None:
        del self._unsettled[stage_key]
        self._at_work.discard(stage_key)
