"""Outlook on the missing stages of a plan on a machine: wall time, GPU-hours, energy and disk."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from study.core.devices import CPU, Device, device_named, device_of_driver, extreme_gpu, is_name_in
from study.core.plan import Plan
from study.core.schedule import Room, schedule
from trainers.stage import Resources, Stage

SECONDS_PER_HOUR = 3600
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, kw_only=True)
class PlannedMachine:
    """Machine that a plan is made for.

    Attributes:
        title: name of its device, as people know it.
        device: of the table; None for a GPU that it does not hold.
        room: its CPU cores and GPUs in all.
        grant: what a stage is granted.
        gpu_name: of its GPUs, as their driver names them, or Ray; empty where it has none.
        cpu_name: of its CPU; empty where it is not known.
        hosts: names of its nodes, where they tell its CPUs.
        is_here: whether it is the machine on which the home's stages are computed.
    """

    title: str
    device: Device | None
    room: Room
    grant: Callable[[Stage], Resources]
    gpu_name: str = ""
    cpu_name: str = ""
    hosts: Collection[str] = field(default=())
    is_here: bool = True

    @property
    def gpus(self) -> float:
        """GPUs that stages may be granted, in all."""
        return self.room.gpus

    @property
    def source(self) -> str:
        """Where its speeds come from, in words."""
        if self.device is None:
            slowest, fastest = extreme_gpu("slowest").name, extreme_gpu("fastest").name
            return f"of which nothing is known: at most what {slowest} takes, at least what {fastest} takes"
        return self.device.source

    def resources_of(self, stage: Stage) -> Resources:
        """What a stage is granted; no GPU where there is none."""
        return self.grant(stage)

    def gpus_of(self, stage: Stage) -> float:
        """GPUs that a stage is granted, over all of its workers."""
        granted = self.grant(stage)
        return granted.workers * granted.gpus

    def has_device(self, name: str, host: str, *, is_gpu: bool) -> bool:
        """Whether a device, by its name and its host in a manifest, is as those of this machine."""
        if not is_gpu:
            return bool(self.cpu_name) and name == self.cpu_name if not self.hosts else host in self.hosts
        if not self.is_here:
            return self.device is not None and device_of_driver(name) == self.device
        return name == self.gpu_name or is_name_in(self.gpu_name, name)

    def seconds(self, stage: Stage) -> float:
        """Expected seconds of a stage by the table, of an unknown GPU as if it were the slowest."""
        return self._seconds_on("slowest", stage)

    def fewest_seconds(self, stage: Stage) -> float:
        """The same, of an unknown GPU as if it were the fastest."""
        return self._seconds_on("fastest", stage)

    def _seconds_on(self, which: Literal["slowest", "fastest"], stage: Stage) -> float:
        """Expected seconds of a stage, on its GPUs, or a share of one, where it is granted any."""
        granted = self.grant(stage)
        cores, gpus = granted.workers * granted.threads, granted.workers * granted.gpus
        if not gpus:
            return device_named(CPU).seconds(stage.expected_cost(), cores)
        return (self.device or extreme_gpu(which)).seconds(stage.expected_cost(), cores, gpus)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Expected cost of missing stages.

    Attributes:
        wall_seconds: until all are done, as many at a time as the machine has room for.
        gpu_hours: of all GPUs that stages are granted.
        kwh: by the power of the devices at work.
        kept_bytes: disk that they take in the end.
        peak_bytes: disk at most, with the checkpoints of stages that are computed at a time, and what is removed once
            it was read.
    """

    wall_seconds: float
    gpu_hours: float
    kwh: float
    kept_bytes: float
    peak_bytes: float


def outlook(
    plan: Plan, machine: PlannedMachine, seconds: Mapping[str, float], among: Collection[str] | None = None
) -> Outlook:
    """The outlook on the missing stages of a plan.

    Args:
        plan: the stages.
        machine: what computes them.
        seconds: expected for every stage, by key.
        among: only stages with these keys; all where not given.
    """
    missing = {k: plan.stages[k] for k in plan.missing if among is None or k in among}
    times = schedule(missing, seconds, machine.grant, machine.room)
    granted = {stage_key: machine.resources_of(stage) for stage_key, stage in missing.items()}
    gpu_seconds = sum(each.workers * each.gpus * seconds[k] for k, each in granted.items())
    core_seconds = sum(each.workers * each.threads * seconds[k] for k, each in granted.items())
    watts = (machine.device or extreme_gpu("slowest")).watts if gpu_seconds else 0.0
    passing = {k: plan.kept_bytes[k] for k in missing if k in plan.tapes or k in plan.dropped}
    kept = sum(plan.kept_bytes[stage_key] for stage_key in missing if stage_key not in passing)
    working = times.most({stage_key: plan.working_bytes[stage_key] for stage_key in missing})
    return Outlook(
        wall_seconds=times.seconds,
        gpu_hours=gpu_seconds / SECONDS_PER_HOUR,
        kwh=(gpu_seconds * watts + core_seconds * device_named(CPU).watts) / JOULES_PER_KWH,
        kept_bytes=kept,
        peak_bytes=kept + times.most(passing, until=times.last_reads) + working,
    )
