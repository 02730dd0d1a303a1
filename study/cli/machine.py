"""Machine that a plan is made for: the one that is here, or one with a device of the table."""

import math
from collections.abc import Callable

from study.cli.resources import ComputeTarget
from study.core.devices import CPU, device_named, device_of_driver
from study.core.outlook import PlannedMachine
from study.execution.resources import MAX_THREADS, Profile
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import UNKNOWN_GPU, gpu_name, num_gpus
from trainers.stage import Stage


def planned_machine(target: ComputeTarget, device_name: str | None = None) -> PlannedMachine:
    """The machine or the cluster that computes on a target, or one with a device of the table in its place.

    Raises:
        InputError: there is no such device, or the profile cannot be read.
        MachineError: the cluster cannot be joined.
    """
    if device_name is not None:
        return _machine_with(target, device_name)
    return _cluster(target, target.address) if target.address else _machine_here(target)


def _machine_here(target: ComputeTarget) -> PlannedMachine:
    cores, gpus = available_cpus(), num_gpus()
    profile = target.profile_of(cores, gpus)
    if not gpus or target.gpus_per_worker == 0:
        title, device = f"{cores} CPU cores", device_named(CPU)
        return PlannedMachine(title=title, device=device, gpus=0, cores=cores, gpus_of=lambda stage: 0)
    return PlannedMachine(
        title=f"{gpus} × {gpu_name()}",
        device=device_of_driver(gpu_name()),
        gpus=gpus,
        cores=profile.default.threads,
        gpus_of=lambda stage: _granted(profile, stage),
    )


def _cluster(target: ComputeTarget, address: str) -> PlannedMachine:
    """A cluster, as Ray describes its nodes; one without GPUs is expected to compute on one node at a time."""
    from study.execution.ray import connection, nodes

    with connection.connect(address):
        (cpus, gpus), total, name = nodes.largest_node(), int(nodes.totals()[1]), nodes.gpu_type()
    profile = target.profile_of(cpus, gpus)
    if not total or target.gpus_per_worker == 0:
        title, device = f"{cpus} CPU cores of {address}", device_named(CPU)
        return PlannedMachine(title=title, device=device, gpus=0, cores=cpus, gpus_of=lambda stage: 0)
    return PlannedMachine(
        title=f"{total} × {name or UNKNOWN_GPU} of {address}",
        device=device_of_driver(name),
        gpus=total,
        cores=profile.default.threads,
        gpus_of=lambda stage: _granted(profile, stage),
    )


def _machine_with(target: ComputeTarget, name: str) -> PlannedMachine:
    """A machine with as many of these devices as one stage is granted, and the usual cores beside each."""
    device = device_named(name)
    if device.name == CPU:
        cores = target.threads or available_cpus()
        title = f"{cores} CPU cores"
        return PlannedMachine(title=title, device=device, gpus=0, cores=cores, gpus_of=lambda stage: 0, is_here=False)
    profile = target.profile_of(MAX_THREADS, 1)
    gpus = max(1, math.ceil(profile.default.workers * profile.default.gpus))
    return PlannedMachine(
        title=f"{gpus} × {name}",
        device=device,
        gpus=gpus,
        cores=profile.default.threads,
        gpus_of=lambda stage: _granted(profile, stage),
        is_here=False,
    )


def gpus_granted(target: ComputeTarget) -> Callable[[Stage], float]:
    """GPUs that a stage is granted on a target; of a cluster to join, as where there are some."""
    if not target.address:
        return _machine_here(target).gpus_of
    profile = target.profile_of(MAX_THREADS, 1)
    return lambda stage: _granted(profile, stage)


def _granted(profile: Profile, stage: Stage) -> float:
    """GPUs that a stage is granted over all of its workers."""
    resources = profile.grant(stage)
    return resources.workers * resources.gpus
