"""Which stages may start: in their order, as far as the nodes have room for them."""

import asyncio
import bisect
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from trainers.stage import Resources

Node = Mapping[str, float]
"""What a node has in all: `CPU`, `GPU`."""
ROUNDING = 1e-6
"""Of sums of fractions of GPUs."""


@dataclass(kw_only=True)
class Place:
    """A stage that waits for room, or has it."""

    number: int
    resources: Resources
    wanting: Callable[[str], None]
    turn: "asyncio.Future[None]"
    said: bool = False

    @property
    def is_inside(self) -> bool:
        return self.turn.done() and not self.turn.cancelled()


class Room:
    """Gives stages their turn.

    What the stages inside need never exceeds what the living nodes have in all. The first stage that waits for room is
    sure of it: those behind it pass only as long as all that passed leave it enough of the whole. So a gang of workers
    is not kept waiting by a stream of smaller stages, and stages of processors alone pass one that waits for a GPU.
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._places: list[Place] = []
        self._holdable: dict[Resources, bool] = {}
        self._closed = False

    @asynccontextmanager
    async def turn(self, number: int, resources: Resources, wanting: Callable[[str], None]) -> AsyncIterator[None]:
        """Waits for a stage's turn, and keeps its room until the end of the block.

        Args:
            number: its place in the order.
            resources: what it needs.
            wanting: told why, if no nodes that are alive can hold it; it waits on.
        """
        future = asyncio.get_running_loop().create_future()
        place = Place(number=number, resources=resources, wanting=wanting, turn=future)
        bisect.insort(self._places, place, key=lambda place: place.number)
        try:
            self._admit()
            await future
            yield
        finally:
            self._places.remove(place)
            self._admit()

    def close(self) -> None:
        """Lets nobody in any more."""
        self._closed = True

    def update(self, nodes: Sequence[Node]) -> None:
        """Takes note of the nodes that are alive."""
        if list(nodes) != self._nodes:
            self._nodes = list(nodes)
            self._holdable.clear()
            self._admit()

    @property
    def num_nodes(self) -> int:
        return len(self._nodes)

    def can_hold(self, resources: Resources) -> bool:
        """Whether the living nodes could hold a stage if nothing else ran."""
        if resources not in self._holdable:
            self._holdable[resources] = sum(_num_workers(node, resources) for node in self._nodes) >= resources.workers
        return self._holdable[resources]

    def _admit(self) -> None:
        if self._closed or not self._nodes:
            return
        whole = (sum(node.get("CPU", 0) for node in self._nodes), sum(node.get("GPU", 0) for node in self._nodes))
        first: Place | None = None
        for place in self._places:
            if self._is_out_of_reach(place) or place.turn.done():
                continue
            inside = [other for other in self._places if other.is_inside]
            passed = [other for other in inside if first is not None and other.number > first.number]
            if not inside or (_fit([*inside, place], whole) and (not first or _fit([first, *passed, place], whole))):
                place.turn.set_result(None)
            elif first is None:
                first = place

    def _is_out_of_reach(self, place: Place) -> bool:
        """Whether no living nodes can hold a stage; says so once, also of a gang that lost the nodes it ran on."""
        if self.can_hold(place.resources):
            place.said = False
            return False
        if not place.said and not (place.is_inside and place.resources.workers == 1):
            place.said = True
            place.wanting(f"it needs {_words(place.resources)}; the living nodes have {self._living()}")
        return True

    def _living(self) -> str:
        kinds = Counter(_amount(node.get("CPU", 0), node.get("GPU", 0)) for node in self._nodes)
        return ", ".join(kind if count == 1 else f"{count} times {kind}" for kind, count in kinds.items())


def _needs(resources: Resources) -> tuple[float, float]:
    """CPUs and GPUs that all workers of a stage hold together."""
    return resources.workers * resources.threads, resources.workers * resources.gpus


def _fit(places: Sequence[Place], whole: tuple[float, float]) -> bool:
    each = [_needs(place.resources) for place in places]
    return all(sum(need[i] for need in each) <= whole[i] + ROUNDING for i in range(2))


def _num_workers(node: Node, resources: Resources) -> int:
    """How many workers a node could hold."""
    wanted = {"CPU": resources.threads, "GPU": resources.gpus}
    return min(int(node.get(name, 0) / each + ROUNDING) for name, each in wanted.items() if each)


def _words(resources: Resources) -> str:
    each = _amount(resources.threads, resources.gpus)
    return each if resources.workers == 1 else f"{resources.workers} workers with {each} each"


def _amount(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
