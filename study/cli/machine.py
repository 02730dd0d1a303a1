"""Machine that a plan is made for: the one that is here, a cluster, or one with a device of the table."""

import math

from study.cli.resources import ComputeTarget
from study.core.devices import CPU, device_named, device_of_driver
from study.core.outlook import PlannedMachine
from study.core.schedule import Room
from study.execution.resources import MAX_THREADS, Profile
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import UNKNOWN_GPU, cpu_name, gpu_name, num_gpus


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
    has_gpus = gpus > 0 and _grants_gpus(profile)
    name = gpu_name() if has_gpus else ""
    return PlannedMachine(
        title=f"{gpus} × {name}" if has_gpus else f"{cores} CPU cores",
        device=device_of_driver(name) if has_gpus else device_named(CPU),
        room=Room(cpus=cores, gpus=gpus if has_gpus else 0, at_once=1 if target.local else None),
        grant=profile.grant,
        gpu_name=name,
        cpu_name=cpu_name(),
    )


def _cluster(target: ComputeTarget, address: str) -> PlannedMachine:
    """A cluster, as Ray describes its nodes."""
    from study.execution.ray import connection, nodes

    with connection.connect(address):
        largest, (cpus, gpus) = nodes.largest_node(), nodes.totals()
        name, hosts = nodes.gpu_type(), nodes.host_names()
    profile = target.profile_of(*largest)
    has_gpus = gpus > 0 and _grants_gpus(profile)
    return PlannedMachine(
        title=f"{gpus:g} × {name or UNKNOWN_GPU} of {address}" if has_gpus else f"{cpus:g} CPU cores of {address}",
        device=device_of_driver(name) if has_gpus else device_named(CPU),
        room=Room(cpus=cpus, gpus=gpus if has_gpus else 0),
        grant=profile.grant,
        gpu_name=name if has_gpus else "",
        hosts=hosts,
    )


def _machine_with(target: ComputeTarget, name: str) -> PlannedMachine:
    """A machine with as many of these devices as one stage is granted, and the usual cores beside each."""
    device = device_named(name)
    if device.name == CPU:
        cores = target.threads or available_cpus()
        profile, gpus, title = target.profile_of(cores, 0), 0, f"{cores} CPU cores"
    else:
        profile = target.profile_of(MAX_THREADS, 1)
        gpus = max(1, math.ceil(profile.default.workers * profile.default.gpus))
        cores, title = max(gpus, profile.default.workers) * profile.default.threads, f"{gpus} × {name}"
    room = Room(cpus=cores, gpus=gpus)
    return PlannedMachine(title=title, device=device, room=room, grant=profile.grant, is_here=False)


def _grants_gpus(profile: Profile) -> bool:
    """Whether a profile grants any type of stage a GPU."""
    return any(each.gpus for each in (profile.default, *profile.by_type.values()))
