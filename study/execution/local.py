"""Runs a plan stage by stage in this process, without Ray: for laptops, debuggers and profilers."""

from study.core.graph import inputs, key
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import (
    ANOTHER_PROCESS,
    Blocked,
    Failed,
    Failure,
    Finished,
    Found,
    Observer,
    Observers,
    Outcome,
    StageEvent,
    Started,
    Waiting,
    event_of,
)
from study.execution.executor import Grant, compute, is_begun
from trainers.stage import Report, Stage


def run(plan: Plan, store: Store, grant: Grant, observer: Observer) -> Outcome:
    """Computes every missing stage of a plan, in order.

    A stage that raises fails alone: what needs it is blocked, everything else goes on. Only a full disk ends the run.

    Raises:
        DiskFullError: there is no space for what is computed; finished stages are kept.
    """
    outcome = Outcome()
    observers = Observers(outcome, observer)
    for stage_key in plan.missing:
        stage = plan.stages[stage_key]
        root = next((root for needed in inputs(stage).values() if (root := outcome.root_failure(key(needed)))), None)
        if root is None:
            observers.on_event(stage, computed(stage, store, grant, observers))
        else:
            observers.on_event(stage, Blocked(key=stage_key, failure=root))
    return outcome


def computed(stage: Stage, store: Store, grant: Grant, observers: Observer) -> StageEvent:
    """Computes a stage, unless another process has; returns how it ended."""
    stage_key = key(stage)

    def wait() -> None:
        observers.on_event(stage, Waiting(key=stage_key, reason=ANOTHER_PROCESS))

    def hear(report: Report) -> None:
        observers.on_event(stage, event_of(stage_key, report))

    with store.claim(stage_key, wait) as folder:
        if store.find(stage_key):
            return Found(key=stage_key)
        observers.on_event(stage, Started(key=stage_key, resumed=is_begun(folder)))
        result = compute(stage, folder, store, grant(stage), hear)
    if isinstance(result, Failure):
        return Failed(key=stage_key, failure=result)
    return Finished(key=stage_key, seconds=result)
