"""The broker: the Ray actor that has every stage computed once, however many trials ask for it."""

import asyncio
import itertools
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.core.store import Store
from study.execution.events import ANOTHER_PROCESS, Failure, failure_of
from study.execution.ray.admission import Node, Room
from study.execution.ray.event_log import News
from study.execution.ray.messages import Event, EventKind, Order, Verdict, ends_epoch
from study.execution.ray.stage_task import Ending, ending_of, interrupt, start_task

MAX_DEATHS = 4
"""How often a stage's process may die within one epoch before the stage counts as failed."""
NODES_PERIOD_SECONDS = 2.0
POLL_SECONDS = 0.5
TELL_AFTER_SECONDS = 2.0
"""A process that has just died may hold its claim for a moment: nobody need hear of that."""
MAX_CALLS = 10_000
"""Each trial's wait is a call that lasts."""


def start_broker(home: Path) -> Any:
    """Starts a broker on this node of the cluster that this process is connected to.

    Ray restarts it where it dies, and it then knows nothing: its driver sees another incarnation in `submit` and
    `events`, and submits everything again. It ends with its driver.

    Args:
        home: the home folder, on a path that all nodes see.

    Returns:
        The actor's handle: `handle.submit.remote(...)`, and so on for every public method of `Broker`.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": MAX_CALLS}
    return ray.remote(scheduling_strategy=here, **options)(Broker).remote(home)  # type: ignore[call-overload]


@dataclass(kw_only=True, eq=False)
class _Job:
    """What becomes of one order."""

    order: Order
    number: int
    task: "asyncio.Task[Verdict]" = field(init=False)
    attempt: str = ""
    """The name of the Ray task that is queued or at work, if there is one."""
    begun: bool = False
    """Whether it is at work."""
    ref: Any = None
    deaths: int = 0
    curve: dict[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict | None:
        if not self.task.done():
            return None
        return Verdict(status="stopped") if self.task.cancelled() else self.task.result()


class Broker:
    """Has stages computed, in the order in which they came, by Ray tasks that it starts when there is room for them.

    It never opens a stage. Two brokers on one home are joined by the store's claims alone.
    """

    def __init__(self, home: Path) -> None:
        self._store = Store(home)
        self._incarnation = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._jobs: dict[str, _Job] = {}
        self._asked: dict[str, set[str]] = defaultdict(set)
        self._tasks: set[asyncio.Task[Verdict]] = set()
        self._room = Room()
        self._news = News()
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    async def submit(self, orders: Sequence[Order], asker: str) -> str:
        """Asks for stages; what is known already is joined, so that it may be asked again and again.

        Returns:
            The incarnation of this broker, which changes when Ray has restarted it.
        """
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_nodes())
        self._asked[asker] |= {order.key for order in orders}
        for order in orders:
            if order.key not in self._jobs:
                job = self._jobs[order.key] = _Job(order=order, number=next(self._numbers))
                job.task = asyncio.create_task(self._see_to(job))  # runs when all are known
                self._tasks.add(job.task)
                job.task.add_done_callback(self._tasks.discard)
        return self._incarnation

    async def wait(self, key: str, seconds: float) -> Verdict | None:
        """The verdict on a stage, or None if there is none after so many seconds."""
        job = self._jobs.get(key)
        if job is None:
            return Verdict(status="found" if self._store.find(key) else "stopped" if self._stopping else "unknown")
        await asyncio.wait([job.task], timeout=seconds)
        return job.verdict

    async def release(self, asker: str, keys: Sequence[str]) -> None:
        """Asks no more for stages; what nobody asks for, nor for what needs it, is cancelled and its folder kept."""
        self._asked[asker] -= set(keys)
        needed = self._needed()
        for key in [key for key, job in self._jobs.items() if key not in needed and not job.task.done()]:
            job = self._jobs.pop(key)
            if job.begun:
                self._tell("interrupted", job, reason="nobody asks for it any more")
            _cancel(job)

    async def events(self, incarnation: str, since: int, seconds: float) -> tuple[str, int, list[Event]]:
        """What happened from an event of this incarnation on; waits so many seconds for something to happen.

        Events before `since` are forgotten, so there is one listener: the driver. Progress within an epoch that it was
        too slow to hear is left out.

        Returns:
            The incarnation of this broker (if it is another one, everything since it began), the number to ask
            from next, and the events.
        """
        following, news = await self._news.since(since if incarnation == self._incarnation else 0, seconds)
        return self._incarnation, following, news

    async def curve(self, key: str, since_epoch: int) -> dict[int, Mapping[str, float]]:
        """What a stage reported at the end of its epochs after one, by epoch.

        Epochs that were computed before this incarnation of the broker, or by another process, are not among them.
        """
        job = self._jobs.get(key)
        return {epoch: metrics for epoch, metrics in job.curve.items() if epoch > since_epoch} if job else {}

    async def stop(self) -> None:
        """Interrupts what runs, starts nothing more, and returns when nothing runs; every wait answers `stopped`."""
        self._stopping = True
        self._room.close()
        for job in self._jobs.values():
            _cancel(job)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def note_started(self, key: str, attempt: str, resumed: bool, where: str) -> None:
        """A task has begun to compute a stage."""
        job = self._jobs.get(key)
        if job is not None and job.attempt == attempt:
            job.begun = True
            self._tell("started", job, resumed=resumed, where=where if self._room.num_nodes > 1 else "")

    async def note_progress(self, key: str, attempt: str, metrics: Mapping[str, float], epoch: int) -> None:
        """A stage reported."""
        job = self._jobs.get(key)
        if job is None or job.attempt != attempt:
            return
        if ends_epoch(metrics):
            if epoch not in job.curve:  # a stage that goes on tells again what it had done before
                job.deaths = 0
            job.curve[epoch] = metrics
        self._tell("progress", job, metrics=metrics, epoch=epoch)

    async def _see_to(self, job: _Job) -> Verdict:
        try:
            return await self._bring_about(job)
        except Exception as error:  # such as a home folder that has gone
            return self._failed(job, failure_of(error))

    async def _bring_about(self, job: _Job) -> Verdict:
        """Waits for a stage's inputs, then has it computed until that ends one way or the other."""
        if self._stopping:
            return Verdict(status="stopped")
        for settled in asyncio.as_completed([self._jobs[key].task for key in job.order.inputs if key in self._jobs]):
            verdict = await settled
            if not verdict.is_done:
                return self._blocked(job, verdict)
        while not self._store.find(job.order.key):
            async with self._room.turn(job.number, job.order.resources, partial(self._tell_waiting, job)):
                ending = await self._attempt(job)
            final = self._judged(job, ending)
            if final is not None:
                return final
            if ending.kind == "busy":
                await self._until_free(job)
        self._tell("found", job)
        return Verdict(status="found")

    async def _attempt(self, job: _Job) -> Ending:
        """Has a stage's task run once."""
        job.attempt = uuid.uuid4().hex
        myself = ray.get_runtime_context().current_actor
        job.ref = start_task(self._store.home, job.order, job.attempt, myself)
        try:
            return await ending_of(job.ref)
        except asyncio.CancelledError:
            await interrupt(job.ref, job.order.resources)
            raise
        finally:
            job.attempt, job.begun = "", False

    def _judged(self, job: _Job, ending: Ending) -> Verdict | None:
        """The verdict after an attempt, or None where the stage must be looked at again."""
        if ending.kind == "computed":
            self._tell("finished", job, seconds=ending.seconds)
            return Verdict(status="computed")
        if ending.failure is not None:
            return self._failed(job, ending.failure)
        if ending.kind == "disk full":
            self._room.close()
            self._tell("disk full", job, reason=ending.reason)
            return Verdict(status="disk full", by=job.order.key, sentence=ending.reason)
        if ending.kind == "lost":
            job.deaths += 1
            if job.deaths == MAX_DEATHS:
                sentence = f"its process died {MAX_DEATHS} times, at last: {ending.reason}"
                return self._failed(job, Failure(sentence, expected=False))
            self._tell("interrupted", job, reason=ending.reason)
        return None

    async def _until_free(self, job: _Job) -> None:
        """Waits, holding nothing, until no other process computes a stage."""
        tell_at: float | None = time.monotonic() + TELL_AFTER_SECONDS
        while not self._store.find(job.order.key) and self._store.is_claimed(job.order.key):
            if tell_at is not None and time.monotonic() >= tell_at:
                self._tell_waiting(job, ANOTHER_PROCESS)
                tell_at = None
            await asyncio.sleep(POLL_SECONDS)

    async def _watch_nodes(self) -> None:
        """Keeps up with nodes that come and go; what Ray has queued for a node that has gone takes its turn again."""
        while True:
            with suppress(exceptions.RayError):  # Ray's head is slow to answer: what was last known holds
                self._room.update(await asyncio.to_thread(_living_nodes))
            for job in self._jobs.values():
                if job.attempt and not job.begun and not self._room.can_hold(job.order.resources):
                    ray.cancel(job.ref, recursive=False)
            await asyncio.sleep(NODES_PERIOD_SECONDS)

    def _needed(self) -> set[str]:
        """The stages that are asked for, and all that lead to them."""
        needed: set[str] = set()
        pending = [key for keys in self._asked.values() for key in keys]
        while pending:
            key = pending.pop()
            if key not in needed and key in self._jobs:
                needed.add(key)
                pending.extend(self._jobs[key].order.inputs)
        return needed

    def _failed(self, job: _Job, failure: Failure) -> Verdict:
        self._tell("failed", job, failure=failure)
        return Verdict(status="failed", by=job.order.key, sentence=failure.sentence, machine=failure.machine)

    def _blocked(self, job: _Job, by: Verdict) -> Verdict:
        """The verdict on a stage whose input has no artifact."""
        if by.status not in ("failed", "blocked"):
            return by
        self._tell("blocked", job, by=by.by)
        return replace(by, status="blocked")

    def _tell_waiting(self, job: _Job, reason: str) -> None:
        self._tell("waiting", job, reason=reason)

    def _tell(self, kind: EventKind, job: _Job, **fields: Any) -> None:
        self._news.tell(Event(kind=kind, key=job.order.key, **fields))


def _cancel(job: _Job) -> None:
    if not job.task.cancelling():  # a second time would cut the first short
        job.task.cancel()


def _living_nodes() -> list[Node]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
