"""Runs stages that do not need each other in several processes, without Ray: the videos of an ingest."""

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TypeAlias

from study.core.graph import key
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import SETTLED, Observer, Observers, Outcome, StageEvent
from study.execution.executor import Grant
from study.execution.local import computed
from trainers.runtime.processes import end_with_parent
from trainers.stage import MachineError, Resources, Stage

LISTEN_SECONDS = 0.2
SPAWN = get_context("spawn")
Heard: TypeAlias = "Queue[tuple[str, StageEvent | BaseException]]"
"""What happens to stages, by their keys."""


def run_side_by_side(plan: Plan, store: Store, grant: Grant, observer: Observer, num_processes: int) -> Outcome:
    """Computes every missing stage of a plan, of which none needs another.

    A stage that raises fails alone. However this ends, no process outlives it; what was finished is kept.

    Raises:
        DiskFullError: there is no space for what is computed.
        MachineError: a process died.
    """
    outcome = Outcome()
    observers = Observers(outcome, observer)
    left = set(plan.missing)
    work = [(plan.stages[stage_key], grant(plan.stages[stage_key])) for stage_key in plan.missing]
    with _processes(store.home, work, num_processes) as (processes, heard):
        while left:
            stage_key, event = _next(heard, processes)
            if isinstance(event, BaseException):
                raise event
            observers.on_event(plan.stages[stage_key], event)
            if isinstance(event, SETTLED):
                left.remove(stage_key)
    return outcome


def _next(heard: Heard, processes: Sequence[BaseProcess]) -> tuple[str, StageEvent | BaseException]:
    """The next event of any process.

    Raises:
        MachineError: a process died, or all have ended.
    """
    while True:
        codes = [each.exitcode for each in processes]
        try:
            event = heard.get(timeout=LISTEN_SECONDS)
        except queue.Empty:
            if any(codes) or None not in codes:
                code = next(filter(None, codes), 0)
                raise MachineError(
                    f"a process died (exit code {code}): type the same command again; finished stages are kept."
                ) from None
        else:
            return event


@contextmanager
def _processes(
    home: Path, work: Sequence[tuple[Stage, Resources]], count: int
) -> Iterator[tuple[list[BaseProcess], Heard]]:
    """Processes that take stages one after the other until none is left, and the queue of what happens to them."""
    waiting, heard = SPAWN.Queue(), SPAWN.Queue()
    for each in (*work, *[None] * count):
        waiting.put(each)
    processes: list[BaseProcess] = [
        SPAWN.Process(target=_work, args=(home, waiting, heard), daemon=True) for _ in range(count)
    ]
    try:
        for process in processes:
            process.start()
        yield processes, heard
    finally:
        waiting.cancel_join_thread()
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def _work(home: Path, waiting: "Queue[tuple[Stage, Resources] | None]", heard: Heard) -> None:
    """Computes stages until none is waiting."""
    end_with_parent()
    store = Store(home)
    while (each := waiting.get()) is not None:
        stage, resources = each
        try:
            heard.put((key(stage), computed(stage, store, _Granted(resources), _Sender(heard))))
        except Exception as error:
            heard.put((key(stage), error))


class _Granted:
    """The resources of one stage, whatever stage is asked for."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def __call__(self, stage: Stage) -> Resources:
        return self._resources


class _Sender(Observer):
    """Puts what happens to stages into a queue."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def on_event(self, stage: Stage, event: StageEvent) -> None:
        self._heard.put((key(stage), event))
