"""Forecast of an ingest: time on the machine or the cluster that would store the videos, and disk."""

import shutil
from dataclasses import replace

from study.cli.execute import shared_out
from study.cli.machine import planned_machine
from study.cli.resources import ComputeTarget
from study.core.outlook import PlannedMachine, outlook
from study.core.plan import make_plan
from study.core.schedule import Room
from study.core.store import Store
from study.core.study import Trial
from study.home.text import duration, size
from trainers.data.ingest.video import Ingest

THREADS_OF_A_VIDEO = 2
"""One decodes, one stores: more gain nothing."""


def forecast(videos: tuple[Trial, ...], store: Store, target: ComputeTarget) -> str:
    """Sentence on the time and the disk that those videos take that are not stored yet.

    Raises:
        MachineError: the cluster cannot be reached.
    """
    found = make_plan(videos, store)
    missing = [stage for each in found.missing if isinstance(stage := found.stages[each], Ingest)]
    if not missing:
        return "every video is stored already: nothing to do"
    machine = _machine(target, len(missing))
    plan = make_plan(videos, store, machine)
    seconds = outlook(plan, machine, plan.seconds).wall_seconds
    basis = "as measured" if set(plan.missing) <= plan.measured else "a guess from the speed of two CPU cores"
    needed, free = sum(stage.expected_bytes() for stage in missing), shutil.disk_usage(store.home).free
    return (
        f"{len(missing)} of {len(plan.stages)} videos to store: about {duration(seconds)} on {machine.title} ({basis}) "
        f"and {size(needed)} of disk, where {size(free)} are free"
    )


def _machine(target: ComputeTarget, num_videos: int) -> PlannedMachine:
    """The machine or the cluster, with what each video is granted there."""
    if not target.local:
        return planned_machine(target)
    shared, at_once = shared_out(target, num_videos)
    threads = min(shared.threads or 1, THREADS_OF_A_VIDEO)
    machine = planned_machine(replace(shared, threads=threads))
    used = at_once * threads
    return replace(machine, title=f"{used} CPU cores" if used > 1 else "one CPU core", room=Room(cpus=used))
