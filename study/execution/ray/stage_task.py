"""Ray task that computes one stage, on any node, and sends its reports to the broker."""

import asyncio
import platform
import signal
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ray
from ray import exceptions

from study.core.disk import DiskFullError
from study.core.store import Store
from study.execution.events import Failure, Progressed, error_line, event_of, failure_of
from study.execution.executor import PROGRESS_PERIOD_SECONDS, compute, is_begun
from study.execution.ray.messages import StageRequest
from study.execution.ray.pickling import unpickled
from study.home.interrupts import defer_interrupts, handle_interrupts
from trainers.stage import Report

INTERRUPT_SECONDS = 10.0
INTERRUPT_GANG_SECONDS = 60.0
"""Its launcher waits for the workers to stop; if it were killed, Ray would keep their placement group."""
DEATHS: Mapping[type[Exception], str] = {
    exceptions.OutOfMemoryError: "the node's memory was full, so Ray ended its process",
    exceptions.NodeDiedError: "its node died",
    exceptions.LocalRayletDiedError: "its node died",
    exceptions.WorkerCrashedError: "its process was killed or crashed",
}

RECENT = 32
"""Messages to the broker that may still be on their way; messages sent at the same time may arrive in any order."""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """Result of one attempt at a stage.

    Attributes:
        kind: `busy`: another process was computing it; `lost`: the process or its node died; `withdrawn`: it was
            cancelled before it began.
        seconds: of `computed`.
        failure: of `failed` and `disk full`.
        reason: of `lost`.
    """

    kind: Literal["computed", "found", "busy", "failed", "disk full", "lost", "withdrawn"]
    seconds: float = 0.0
    failure: Failure | None = None
    reason: str = ""


def start_task(home: Path, request: StageRequest, attempt: str, broker: Any) -> Any:
    """Submits a stage's task to Ray; one that starts workers holds nothing itself, for they do.

    Args:
        home: the home folder.
        request: of the stage.
        attempt: by which the broker tells this attempt from earlier ones.
        broker: the actor that gets its reports.

    Returns:
        The reference to its `TaskResult`.
    """
    resources = request.resources
    held = {"num_cpus": resources.threads, "num_gpus": resources.gpus} if resources.workers == 1 else {"num_cpus": 0}
    return compute_stage.options(**held, name=f"compute_stage: {request.title}").remote(home, request, attempt, broker)


async def result_of(task: Any, request: StageRequest) -> TaskResult:
    """Waits for a task, and returns its result also where Ray lost or cancelled it."""
    try:
        result: TaskResult = await task
    except exceptions.TaskCancelledError:
        return TaskResult(kind="withdrawn")
    except exceptions.RayTaskError as error:
        sentence = error_line(error.cause)
        failure = Failure(sentence=sentence, fault="program", key=request.key, title=request.title)
        return TaskResult(kind="failed", failure=failure)
    except exceptions.RayError as error:
        return TaskResult(kind="lost", reason=DEATHS.get(type(error)) or error_line(error))
    return result


async def interrupt(task: Any, request: StageRequest) -> None:
    """Interrupts a task, kills it where that does not end it, and returns when it has ended."""
    ended = asyncio.create_task(result_of(task, request))
    patience = INTERRUPT_SECONDS if request.resources.workers == 1 else INTERRUPT_GANG_SECONDS
    for force in (False, True):
        ray.cancel(task, force=force, recursive=False)
        await asyncio.wait([ended], timeout=patience)
        if ended.done():
            return


@ray.remote(max_retries=0)  # the broker retries, and reports it
def compute_stage(home: Path, request: StageRequest, attempt: str, broker: Any) -> TaskResult:
    """Computes a stage, unless it is there or another process computes it."""
    relay = _Relay(broker, request.key, attempt)
    try:
        with handle_interrupts([signal.SIGINT]):  # by which Ray cancels a task
            result = _compute(Store(home), request, relay)
    except Exception as error:
        failure = failure_of(error, key=request.key, title=request.title)
        result = TaskResult(kind="disk full" if isinstance(error, DiskFullError) else "failed", failure=failure)
    relay.flush()
    return result


def _compute(store: Store, request: StageRequest, relay: "_Relay") -> TaskResult:
    with store.try_claim(request.key) as folder:
        if folder is None:
            return TaskResult(kind="busy")
        if store.find(request.key):
            return TaskResult(kind="found")
        relay.started(resumed=is_begun(folder))
        with defer_interrupts():  # Ray uses this process again, which could not import what was imported in part
            stage = unpickled(request.stage)
        result = compute(stage, folder, store, request.resources, relay.send)
    if isinstance(result, Failure):
        return TaskResult(kind="failed", failure=result)
    return TaskResult(kind="computed", seconds=result)


class _Relay:
    """Sends a stage's reports to the broker, without waiting for it; progress within an epoch only now and then."""

    def __init__(self, broker: Any, key: str, attempt: str) -> None:
        self._broker = broker
        self._key, self._attempt = key, attempt
        self._due = 0.0
        self._sent: deque[Any] = deque(maxlen=RECENT)

    def started(self, resumed: bool) -> None:
        self._sent.append(self._broker.note_started.remote(self._key, self._attempt, resumed, platform.node()))

    def send(self, report: Report) -> None:
        event, now = event_of(self._key, report), time.monotonic()
        if isinstance(event, Progressed):
            if now < self._due:
                return
            self._due = now + PROGRESS_PERIOD_SECONDS
        self._sent.append(self._broker.note_report.remote(event, self._attempt))

    def flush(self) -> None:
        """Returns once the broker has everything: the end must not reach it first."""
        ray.get(list(self._sent))
