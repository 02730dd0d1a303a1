"""Schedule of stages on a machine, as the broker would admit them: how long they take, and what they hold at a time."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from study.core.graph import inputs, key
from trainers.stage import Resources, Stage

ROUNDING = 1e-6
"""Of sums of fractions of GPUs."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a machine has for stages.

    Attributes:
        cpus: its cores, over all nodes.
        gpus: likewise.
        at_once: stages at most that are computed at a time; None where room alone decides.
    """

    cpus: float
    gpus: float = 0
    at_once: int | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Times of stages, from the start on.

    Attributes:
        starts: seconds until each begins, by key.
        ends: seconds until each is done, by key.
        last_reads: seconds until the last stage that reads each is done, by key.
    """

    starts: Mapping[str, float]
    ends: Mapping[str, float]
    last_reads: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Seconds until all are done."""
        return max(self.ends.values(), default=0.0)

    def most(self, amounts: Mapping[str, float], until: Mapping[str, float] | None = None) -> float:
        """The most that stages hold at a time, each from its start.

        Args:
            amounts: of every stage that holds something, by key.
            until: when it gives it back, by key; its own end where not given.
        """
        given_back = until or self.ends
        changes = sorted(
            change
            for stage_key, amount in amounts.items()
            for change in ((given_back[stage_key], -amount), (self.starts[stage_key], amount))
        )
        held = most = 0.0
        for _, change in changes:
            held += change
            most = max(most, held)
        return most


def schedule(
    stages: Mapping[str, Stage], seconds: Mapping[str, float], granted: Callable[[Stage], Resources], room: Room
) -> Schedule:
    """The schedule of stages, the first of them that are ready and fit first.

    Args:
        stages: in their order, by key; what they read that is not among them is there.
        seconds: that each takes, by key.
        granted: the resources of a stage.
        room: of the machine; a stage that does not fit is computed alone.
    """
    return _Simulation(stages, seconds, granted, room).run()


@dataclass
class _Queue:
    """Stages that are ready and are granted the same, by their number."""

    cpus: float
    gpus: float
    ready: list[int] = field(default_factory=list)


class _Simulation:
    """The state at a time: stages that are ready, stages at work, and the room that is free."""

    def __init__(
        self,
        stages: Mapping[str, Stage],
        seconds: Mapping[str, float],
        granted: Callable[[Stage], Resources],
        room: Room,
    ) -> None:
        self._keys = list(stages)
        self._seconds = seconds
        self._readers: dict[str, list[int]] = {stage_key: [] for stage_key in stages}
        self._awaited = [0] * len(self._keys)
        self._queues: dict[Resources, _Queue] = {}
        self._queue_of: list[_Queue] = []
        self._free_cpus, self._free_gpus = room.cpus, room.gpus
        self._at_once = room.at_once or len(self._keys)
        self._at_work: list[tuple[float, int]] = []
        for number, stage in enumerate(stages.values()):
            self._queue_of.append(self._queue(granted(stage)))
            needed = {key(each) for each in (*inputs(stage).values(), *stage.aids().values())} & stages.keys()
            self._awaited[number] = len(needed)
            for each in needed:
                self._readers[each].append(number)
            if not needed:
                heapq.heappush(self._queue_of[number].ready, number)

    def run(self) -> Schedule:
        """Lets time go on from one end of a stage to the next."""
        now, starts, ends = 0.0, {}, {}
        while (number := self._next()) is not None or self._at_work:
            if number is not None:
                self._take(number, 1)
                stage_key = self._keys[number]
                starts[stage_key], ends[stage_key] = now, now + self._seconds[stage_key]
                heapq.heappush(self._at_work, (ends[stage_key], number))
                continue
            now, number = heapq.heappop(self._at_work)
            self._take(number, -1)
            for reader in self._readers[self._keys[number]]:
                self._awaited[reader] -= 1
                if not self._awaited[reader]:
                    heapq.heappush(self._queue_of[reader].ready, reader)
        readers = {k: [ends[self._keys[number]] for number in numbers] for k, numbers in self._readers.items()}
        return Schedule(starts=starts, ends=ends, last_reads={k: max(readers[k], default=ends[k]) for k in ends})

    def _queue(self, granted: Resources) -> _Queue:
        if granted not in self._queues:
            workers = granted.workers
            self._queues[granted] = _Queue(workers * granted.threads, workers * granted.gpus)
        return self._queues[granted]

    def _next(self) -> int | None:
        """The number of the first stage that is ready and fits, taken from its queue; None where there is none."""
        if len(self._at_work) >= self._at_once:
            return None
        fitting = [queue for queue in self._queues.values() if queue.ready and self._fits(queue)]
        if not fitting:
            return None
        return heapq.heappop(min(fitting, key=lambda queue: queue.ready[0]).ready)

    def _fits(self, queue: _Queue) -> bool:
        has_room = queue.cpus <= self._free_cpus + ROUNDING and queue.gpus <= self._free_gpus + ROUNDING
        return has_room or not self._at_work

    def _take(self, number: int, sign: int) -> None:
        queue = self._queue_of[number]
        self._free_cpus -= sign * queue.cpus
        self._free_gpus -= sign * queue.gpus
