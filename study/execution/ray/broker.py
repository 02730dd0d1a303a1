"""Broker: the Ray actor that has every stage computed once, for all trials that need it."""

import asyncio
import itertools
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.core.store import Store
from study.execution.events import (
    ANOTHER_PROCESS,
    Blocked,
    DiskFull,
    EpochEnded,
    Failed,
    Failure,
    Finished,
    Found,
    Interrupted,
    Progressed,
    StageEvent,
    Started,
    Waiting,
    failure_of,
)
from study.execution.ray.admission import AdmissionQueue
from study.execution.ray.event_log import EventLog
from study.execution.ray.jobs import Job, needed_by
from study.execution.ray.messages import StageOutcome, StageRequest
from study.execution.ray.nodes import living_nodes
from study.execution.ray.stage_task import TaskResult, interrupt, result_of, start_task
from trainers.runtime.placement_groups import remove_abandoned

MAX_DEATHS = 4
"""Number of deaths of a stage's process within one epoch after which the stage counts as failed."""
NODES_PERIOD_SECONDS = 2.0
POLL_SECONDS = 0.5
WAITING_AFTER_SECONDS = 2.0
"""A process that has just died may hold its claim for a moment, which is no news."""
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


class Broker:
    """Has stages computed, in the order in which they came, by Ray tasks that it starts when there is room for them.

    It never opens a stage. Two brokers on one home are joined by the store's claims alone.
    """

    def __init__(self, home: Path) -> None:
        self._store = Store(home)
        self._incarnation = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._jobs: dict[str, Job] = {}
        self._asked: dict[str, set[str]] = defaultdict(set)
        self._tasks: set[asyncio.Task[StageOutcome]] = set()
        self._admission = AdmissionQueue()
        self._log = EventLog()
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    async def submit(self, requests: Sequence[StageRequest], asker: str) -> str:
        """Requests stages; requests for stages that it knows already are joined, so that they may be repeated.

        Returns:
            The incarnation of this broker, which changes when Ray has restarted it.
        """
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_nodes())
        self._asked[asker] |= {request.key for request in requests}
        for request in requests:
            if request.key not in self._jobs:
                job = self._jobs[request.key] = Job(request=request, number=next(self._numbers))
                job.task = asyncio.create_task(self._outcome_of(job))  # runs when all are known
                self._tasks.add(job.task)
                job.task.add_done_callback(self._tasks.discard)
        return self._incarnation

    async def wait(self, key: str, seconds: float) -> StageOutcome | None:
        """The outcome of a stage, or None where there is none after `seconds`."""
        job = self._jobs.get(key)
        if job is None:
            return StageOutcome(status="found" if self._store.find(key) else "stopped" if self._stopping else "unknown")
        await asyncio.wait([job.task], timeout=seconds)
        return job.outcome

    async def release(self, asker: str, keys: Sequence[str]) -> None:
        """Withdraws requests; a stage that no other request needs is cancelled, and its folder kept."""
        self._asked[asker] -= set(keys)
        needed = needed_by(self._asked, self._jobs)
        for key in [key for key, job in self._jobs.items() if key not in needed and not job.task.done()]:
            job = self._jobs.pop(key)
            if job.begun:
                self._log.append(Interrupted(key=key, reason="nobody asks for it any more"))
            job.cancel()

    async def events(self, incarnation: str, since: int, seconds: float) -> tuple[str, int, list[StageEvent]]:
        """The events from a number of this incarnation on; waits up to `seconds` for one.

        Events before `since` are forgotten, so there is one reader: the driver. Progress within an epoch that it was
        too slow to read is left out.

        Returns:
            The incarnation of this broker (if it is another one, everything since it began), the number to ask
            from next, and the events.
        """
        following, events = await self._log.read_from(since if incarnation == self._incarnation else 0, seconds)
        return self._incarnation, following, events

    async def curve(self, key: str, since_epoch: int) -> dict[int, Mapping[str, float]]:
        """The metrics of a stage's epochs after one, by epoch.

        Epochs that were computed before this incarnation of the broker, or by another process, are not among them.
        """
        job = self._jobs.get(key)
        return {epoch: metrics for epoch, metrics in job.curve.items() if epoch > since_epoch} if job else {}

    async def stop(self) -> None:
        """Interrupts what runs, starts nothing more, and returns when nothing runs; every wait answers `stopped`."""
        self._stopping = True
        self._admission.close()
        for job in self._jobs.values():
            job.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def note_started(self, key: str, attempt: str, resumed: bool, where: str) -> None:
        """A task has begun to compute a stage."""
        job = self._jobs.get(key)
        if job is not None and job.attempt == attempt:
            job.begun = True
            where = where if self._admission.num_nodes > 1 else ""
            self._log.append(Started(key=key, resumed=resumed, where=where))

    async def note_report(self, event: Progressed | EpochEnded, attempt: str) -> None:
        """A stage reported."""
        job = self._jobs.get(event.key)
        if job is None or job.attempt != attempt:
            return
        if isinstance(event, EpochEnded):
            if event.number not in job.curve:  # a stage that goes on reports again what it had done before
                job.deaths = 0
            job.curve[event.number] = event.metrics
        self._log.append(event)

    async def _outcome_of(self, job: Job) -> StageOutcome:
        try:
            return await self._computed(job)
        except Exception as error:  # such as a home folder that has gone
            return self._failed(job, failure_of(error, key=job.key, title=job.request.title))

    async def _computed(self, job: Job) -> StageOutcome:
        """Waits for a stage's inputs, then computes it until it is finished or has failed."""
        if self._stopping:
            return StageOutcome(status="stopped")
        for settled in asyncio.as_completed([self._jobs[key].task for key in job.request.inputs if key in self._jobs]):
            outcome = await settled
            if not outcome.is_done:
                return self._blocked(job, outcome)
        aids = [self._jobs[key].task for key in job.request.aids if key in self._jobs]
        if aids:
            await asyncio.wait(aids)
        while not self._store.find(job.key):
            async with self._admission.admitted(job.number, job.request.resources, partial(self._note_waiting, job)):
                result = await self._attempt(job)
            final = self._outcome_after(job, result)
            if final is not None:
                return final
            if result.kind == "busy":
                await self._until_free(job)
        self._log.append(Found(key=job.key))
        return StageOutcome(status="found")

    async def _attempt(self, job: Job) -> TaskResult:
        """Runs a stage's task once."""
        job.attempt = uuid.uuid4().hex
        myself = ray.get_runtime_context().current_actor
        job.ref = start_task(self._store.home, job.request, job.attempt, myself)
        try:
            return await result_of(job.ref, job.request)
        except asyncio.CancelledError:
            await interrupt(job.ref, job.request)
            raise
        finally:
            job.attempt, job.begun = "", False

    def _outcome_after(self, job: Job, result: TaskResult) -> StageOutcome | None:
        """The stage's outcome after an attempt, or None where there must be another look at it."""
        if result.kind == "computed":
            self._log.append(Finished(key=job.key, seconds=result.seconds))
            return StageOutcome(status="computed")
        if result.kind == "disk full":
            assert result.failure is not None
            self._admission.close()
            self._log.append(DiskFull(key=job.key, failure=result.failure))
            return StageOutcome(status="disk full", failure=result.failure)
        if result.failure is not None:
            return self._failed(job, result.failure)
        if result.kind == "lost":
            job.deaths += 1
            if job.deaths == MAX_DEATHS:
                sentence = f"its process died {MAX_DEATHS} times, at last: {result.reason}"
                return self._failed(
                    job, Failure(sentence=sentence, fault="program", key=job.key, title=job.request.title)
                )
            self._log.append(Interrupted(key=job.key, reason=result.reason))
        return None

    async def _until_free(self, job: Job) -> None:
        """Waits, holding nothing, until no other process computes a stage."""
        note_at: float | None = time.monotonic() + WAITING_AFTER_SECONDS
        while not self._store.find(job.key) and self._store.is_claimed(job.key):
            if note_at is not None and time.monotonic() >= note_at:
                self._note_waiting(job, ANOTHER_PROCESS)
                note_at = None
            await asyncio.sleep(POLL_SECONDS)

    async def _watch_nodes(self) -> None:
        """Follows nodes that come and go; a task that Ray has queued for a lost node waits for admission again.

        Frees what the workers of killed stages held, too.
        """
        while True:
            with suppress(exceptions.RayError):  # Ray's head is slow to answer: what was last known holds
                self._admission.update(await asyncio.to_thread(living_nodes))
                await asyncio.to_thread(remove_abandoned)
            for job in self._jobs.values():
                if job.attempt and not job.begun and not self._admission.can_hold(job.request.resources):
                    ray.cancel(job.ref, recursive=False)
            await asyncio.sleep(NODES_PERIOD_SECONDS)

    def _failed(self, job: Job, failure: Failure) -> StageOutcome:
        self._log.append(Failed(key=job.key, failure=failure))
        return StageOutcome(status="failed", failure=failure)

    def _blocked(self, job: Job, by: StageOutcome) -> StageOutcome:
        """The outcome of a stage whose input has no artifact."""
        if by.status not in ("failed", "blocked"):
            return by
        assert by.failure is not None
        self._log.append(Blocked(key=job.key, failure=by.failure))
        return StageOutcome(status="blocked", failure=by.failure)

    def _note_waiting(self, job: Job, reason: str) -> None:
        self._log.append(Waiting(key=job.key, reason=reason))
