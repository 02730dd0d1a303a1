"""Execution of a plan on a compute target: in this process, in several, or through Ray."""

from dataclasses import replace

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
from study.execution.side_by_side import run_side_by_side
from trainers.artifacts.evaluation import read_mean_scores
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import num_gpus

MOST_AT_ONCE = 16
"""A disk reads more videos at once no faster."""
WORTH_PROCESSES_SECONDS = 20.0
"""A shorter plan ends sooner without the start of processes."""


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


def compute_videos(plan: Plan, store: Store, target: ComputeTarget) -> Outcome:
    """Computes a plan of videos: without a cluster, as many at once as there are threads for.

    Raises:
        MachineError: the cluster cannot be reached, or a process died.
    """
    shared, at_once = shared_out(target, len(plan.missing))
    if not target.local or at_once < 2 or plan.expected_seconds < WORTH_PROCESSES_SECONDS:
        return compute(plan, store, target)
    profile = shared.profile_of(available_cpus(), 0)
    with observer_for(plan, new_console(), store.home) as display:
        return run_side_by_side(plan, store, profile.grant, display, at_once)


def shared_out(target: ComputeTarget, num_videos: int) -> tuple[ComputeTarget, int]:
    """The target with the threads of one video, and the number of videos that are stored at once on a machine."""
    threads = target.threads or available_cpus()
    at_once = max(1, min(num_videos, threads, MOST_AT_ONCE))
    return replace(target, threads=threads // at_once), at_once
