"""Runs a plan stage by stage in this process, without Ray: for laptops, debuggers and profilers."""

from functools import partial

from study.core.graph import inputs, key
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import ANOTHER_PROCESS, Failure, Observer, Outcome
from study.execution.executor import Grant, compute, is_begun


def run(plan: Plan, store: Store, grant: Grant, observer: Observer) -> Outcome:
    """Computes every missing stage of a plan, in order.

    A stage that raises fails alone: what needs it is blocked, everything else goes on. Only a full disk ends the run.

    Raises:
        DiskFullError: there is no space for what is computed; finished stages are kept.
    """
    outcome = Outcome()
    for stage_key in plan.missing:
        stage = plan.stages[stage_key]
        culprit = next((root for s in inputs(stage).values() if (root := outcome.root_failure(key(s)))), None)
        if culprit is not None:
            outcome.blocked[stage_key] = culprit
            observer.blocked(stage, plan.stages[culprit])
            continue
        with store.claim(stage_key, partial(observer.waiting, stage, ANOTHER_PROCESS)) as folder:
            if store.find(stage_key):
                observer.found(stage)
                continue
            observer.started(stage, resumed=is_begun(folder))
            result = compute(stage, folder, store, grant(stage), partial(observer.progress, stage))
        if isinstance(result, Failure):
            outcome.failures[stage_key] = result
            observer.failed(stage, result)
        else:
            outcome.computed.append(stage_key)
            observer.finished(stage, result)
    return outcome
