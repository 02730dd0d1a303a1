"""Admission of stages: in their order, as far as the nodes have room for them."""

import asyncio
import bisect
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from study.execution.ray.nodes import ROUNDING, Node, amount
from trainers.stage import Resources


@dataclass(kw_only=True)
class Waiting:
    """A stage in the queue: it waits to be admitted, or is.

    Attributes:
        number: its place in the order.
        resources: what it needs.
        on_no_room: called with the reason where no living nodes can hold it.
        turn: resolved when it is admitted.
        has_said: whether `on_no_room` was called for the nodes that live now.
    """

    number: int
    resources: Resources
    on_no_room: Callable[[str], None]
    turn: "asyncio.Future[None]"
    has_said: bool = False

    @property
    def is_admitted(self) -> bool:
        """Whether it holds its resources."""
        return self.turn.done() and not self.turn.cancelled()


class AdmissionQueue:
    """Admits stages as resources become free.

    What the admitted stages need never exceeds what the living nodes have in all. The first stage that waits is sure
    of its resources: those behind it pass only as long as all that passed leave it enough of the whole. So a gang of
    workers is not kept waiting by a stream of smaller stages, and stages of CPUs alone pass one that waits for a GPU.
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._queue: list[Waiting] = []
        self._holdable: dict[Resources, bool] = {}
        self._closed = False

    @asynccontextmanager
    async def admitted(
        self, number: int, resources: Resources, on_no_room: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Waits until a stage is admitted, and keeps its resources until the end of the block.

        Args:
            number: its place in the order.
            resources: what it needs.
            on_no_room: called with the reason if no living nodes can hold it; it waits on.
        """
        future = asyncio.get_running_loop().create_future()
        waiting = Waiting(number=number, resources=resources, on_no_room=on_no_room, turn=future)
        bisect.insort(self._queue, waiting, key=lambda waiting: waiting.number)
        try:
            self._admit()
            await future
            yield
        finally:
            self._queue.remove(waiting)
            self._admit()

    def close(self) -> None:
        """Admits nothing any more."""
        self._closed = True

    def update(self, nodes: Sequence[Node]) -> None:
        """Takes note of the nodes that are alive."""
        if list(nodes) != self._nodes:
            self._nodes = list(nodes)
            self._holdable.clear()
            self._admit()

    @property
    def num_nodes(self) -> int:
        """The number of nodes that live."""
        return len(self._nodes)

    def can_hold(self, resources: Resources) -> bool:
        """Whether the living nodes could hold a stage if nothing else ran."""
        if resources not in self._holdable:
            self._holdable[resources] = sum(node.num_workers(resources) for node in self._nodes) >= resources.workers
        return self._holdable[resources]

    def _admit(self) -> None:
        if self._closed or not self._nodes:
            return
        whole = (sum(node.cpus for node in self._nodes), sum(node.gpus for node in self._nodes))
        first: Waiting | None = None
        for waiting in self._queue:
            if self._is_out_of_reach(waiting) or waiting.turn.done():
                continue
            admitted = [other for other in self._queue if other.is_admitted]
            passed = [other for other in admitted if first is not None and other.number > first.number]
            if not admitted or (
                _fit([*admitted, waiting], whole) and (not first or _fit([first, *passed, waiting], whole))
            ):
                waiting.turn.set_result(None)
            elif first is None:
                first = waiting

    def _is_out_of_reach(self, waiting: Waiting) -> bool:
        """Whether no living nodes can hold a stage; reported once, also for a gang that lost the nodes it ran on."""
        if self.can_hold(waiting.resources):
            waiting.has_said = False
            return False
        if not waiting.has_said and not (waiting.is_admitted and waiting.resources.workers == 1):
            waiting.has_said = True
            waiting.on_no_room(f"it needs {_words(waiting.resources)}; the living nodes have {self._living()}")
        return True

    def _living(self) -> str:
        kinds = Counter(amount(node.cpus, node.gpus) for node in self._nodes)
        return ", ".join(kind if count == 1 else f"{count} times {kind}" for kind, count in kinds.items())


def _needs(resources: Resources) -> tuple[float, float]:
    """CPUs and GPUs that all workers of a stage hold together."""
    return resources.workers * resources.threads, resources.workers * resources.gpus


def _fit(stages: Sequence[Waiting], whole: tuple[float, float]) -> bool:
    each = [_needs(stage.resources) for stage in stages]
    return all(sum(need[i] for need in each) <= whole[i] + ROUNDING for i in range(2))


def _words(resources: Resources) -> str:
    each = amount(resources.threads, resources.gpus)
    return each if resources.workers == 1 else f"{resources.workers} workers with {each} each"
