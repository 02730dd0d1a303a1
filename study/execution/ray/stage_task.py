"""The Ray task that computes one stage, on whatever node it lands, and tells the broker how it goes."""

import asyncio
import platform
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
from study.execution.events import Failure, error_line, failure_of
from study.execution.executor import PROGRESS_PERIOD_SECONDS, compute, is_begun
from study.execution.ray.messages import Order, ends_epoch, unpickled
from trainers.stage import Resources

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
"""Messages to the broker that may still be on their way: what is sent at once may arrive in another order."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one attempt at a stage ended.

    Attributes:
        kind: `busy`: another process was computing it; `lost`: the process or its node died; `withdrawn`: it was
            cancelled before it began.
        seconds: of `computed`.
        failure: of `failed`.
        reason: of `disk full` and `lost`.
    """

    kind: Literal["computed", "found", "busy", "failed", "disk full", "lost", "withdrawn"]
    seconds: float = 0.0
    failure: Failure | None = None
    reason: str = ""


def start_task(home: Path, order: Order, attempt: str, broker: Any) -> Any:
    """Hands a stage's task to Ray; one that starts workers holds nothing itself, for they do.

    Args:
        home: the home folder.
        order: of the stage.
        attempt: by which the broker tells this attempt from earlier ones.
        broker: the actor that hears of it.

    Returns:
        The reference to its `Ending`.
    """
    resources = order.resources
    held = {"num_cpus": resources.threads, "num_gpus": resources.gpus} if resources.workers == 1 else {"num_cpus": 0}
    return compute_stage.options(**held, name=f"compute_stage: {order.title}").remote(home, order, attempt, broker)


async def ending_of(task: Any) -> Ending:
    """Waits for a task; whatever became of it is an ending."""
    try:
        ending: Ending = await task
    except exceptions.TaskCancelledError:
        return Ending(kind="withdrawn")
    except exceptions.RayTaskError as error:
        return Ending(kind="failed", failure=Failure(error_line(error.cause), expected=False))
    except exceptions.RayError as error:
        return Ending(kind="lost", reason=DEATHS.get(type(error)) or error_line(error))
    return ending


async def interrupt(task: Any, resources: Resources) -> None:
    """Ends a task, the hard way if it must, and returns when it has ended."""
    ended = asyncio.create_task(ending_of(task))
    patience = INTERRUPT_SECONDS if resources.workers == 1 else INTERRUPT_GANG_SECONDS
    for force in (False, True):
        ray.cancel(task, force=force, recursive=False)
        await asyncio.wait([ended], timeout=patience)
        if ended.done():
            return


@ray.remote(max_retries=0)  # the broker tries again itself, and says so
def compute_stage(home: Path, order: Order, attempt: str, broker: Any) -> Ending:
    """Computes a stage, unless it is there or another process is at it."""
    relay = _Relay(broker, order.key, attempt)
    try:
        ending = _compute(Store(home), order, relay)
    except DiskFullError as error:
        ending = Ending(kind="disk full", reason=str(error))
    except Exception as error:
        ending = Ending(kind="failed", failure=failure_of(error))
    relay.flush()
    return ending


def _compute(store: Store, order: Order, relay: "_Relay") -> Ending:
    with store.try_claim(order.key) as folder:
        if folder is None:
            return Ending(kind="busy")
        if store.find(order.key):
            return Ending(kind="found")
        relay.started(resumed=is_begun(folder))
        result = compute(unpickled(order.stage), folder, store, order.resources, relay.progress)
    if isinstance(result, Failure):
        return Ending(kind="failed", failure=result)
    return Ending(kind="computed", seconds=result)


class _Relay:
    """Tells the broker what a stage reports, without waiting for it; within an epoch only now and then."""

    def __init__(self, broker: Any, key: str, attempt: str) -> None:
        self._broker = broker
        self._name = (key, attempt)
        self._due = 0.0
        self._told: deque[Any] = deque(maxlen=RECENT)

    def started(self, resumed: bool) -> None:
        self._told.append(self._broker.note_started.remote(*self._name, resumed, platform.node()))

    def progress(self, metrics: Mapping[str, float], epoch: int) -> None:
        now = time.monotonic()
        if now < self._due and not ends_epoch(metrics):
            return
        self._due = now + PROGRESS_PERIOD_SECONDS
        self._told.append(self._broker.note_progress.remote(*self._name, dict(metrics), epoch))

    def flush(self) -> None:
        """Returns once the broker has heard everything: it must not hear of the end first."""
        ray.get(list(self._told))
