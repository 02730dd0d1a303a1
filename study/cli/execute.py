"""Execution of a plan on a compute target: in this process, or through Ray."""

from study.cli.resources import ComputeTarget
from study.console.live import observer_for
from study.console.terminal import new_console
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import Observer, Observers, Outcome
from study.execution.executor import check_granted
from study.execution.local import run as run_locally
from study.execution.ray.options import TuneOptions
from study.execution.ray.runner import run_on_ray
from trainers.artifacts.evaluation import read_mean_scores
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import num_gpus


def compute(plan: Plan, store: Store, target: ComputeTarget, *observers: Observer) -> Outcome:
    """Computes a plan; the display and the observers follow its events.

    Raises:
        InputError: a stage does not fit what it is granted.
        MachineError: the cluster cannot be reached, or has no room for a stage.
    """
    with observer_for(plan, new_console(), store.home) as display:
        observer = Observers(display, *observers)
        if target.local:
            profile = target.profile_of(available_cpus(), num_gpus())
            for stage_key in plan.missing:
                check_granted(plan.stages[stage_key], profile.grant)
            return run_locally(plan, store, profile.grant, observer)
        options = TuneOptions(callbacks=target.callbacks, score=read_mean_scores)
        return run_on_ray(plan, store, target.profile_of, observer, address=target.address, options=options)
