"""Outlook on the missing stages of a plan on a machine: wall time, GPU-hours, energy and disk."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from study.core.devices import CPU, Device, device_named, extreme_gpu
from study.core.graph import inputs, key
from study.core.plan import Plan
from trainers.stage import Stage

SECONDS_PER_HOUR = 3600
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, kw_only=True)
class PlannedMachine:
    """Machine that a plan is made for.

    Attributes:
        title: name of its device, as people know it.
        device: of the table; None for a GPU that it does not hold.
        gpus: number of them; 0 where the CPU computes.
        cores: of the CPU that one stage has.
        gpus_of: GPUs that a stage is granted, over all of its workers.
        is_here: whether it is the machine on which the home's stages are computed.
    """

    title: str
    device: Device | None
    gpus: int
    cores: int
    gpus_of: Callable[[Stage], float]
    is_here: bool = True

    def seconds(self, stage: Stage) -> float:
        """Expected seconds of a stage by the table, of an unknown GPU as if it were the slowest."""
        return self._seconds_on(self.device or extreme_gpu("slowest"), stage)

    def fewest_seconds(self, stage: Stage) -> float:
        """The same, of an unknown GPU as if it were the fastest."""
        return self._seconds_on(self.device or extreme_gpu("fastest"), stage)

    @property
    def source(self) -> str:
        """Where its speeds come from, in words."""
        if self.device is None:
            slowest, fastest = extreme_gpu("slowest").name, extreme_gpu("fastest").name
            return f"of which nothing is known: at most what {slowest} takes, at least what {fastest} takes"
        return self.device.source

    def _seconds_on(self, device: Device, stage: Stage) -> float:
        """Expected seconds of a stage, on its share of this kind of GPU where it is granted one."""
        granted = self.gpus_of(stage)
        if not granted or device.name == CPU:
            return device_named(CPU).seconds(stage.expected_cost(), self.cores)
        return device.seconds(stage.expected_cost(), self.cores) / granted


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Expected cost of missing stages.

    Attributes:
        wall_seconds: until all are done, as many at a time as there are GPUs.
        gpu_hours: of all GPUs that stages are granted.
        kwh: by the power of the devices at work.
        kept_bytes: disk that they take in the end.
        peak_bytes: disk at most, with tapes and the largest checkpoints of as many stages as are computed at a time.
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
    missing = [stage_key for stage_key in plan.missing if among is None or stage_key in among]
    granted = {stage_key: machine.gpus_of(plan.stages[stage_key]) for stage_key in missing}
    device = machine.device or extreme_gpu("slowest")
    gpu_seconds = sum(granted[stage_key] * seconds[stage_key] for stage_key in missing)
    cpu_seconds = sum(seconds[stage_key] for stage_key in missing if not granted[stage_key])
    total = sum(seconds[stage_key] for stage_key in missing)
    watts = 0.0 if device.name == CPU else device.watts
    joules = gpu_seconds * watts + total * device_named(CPU).watts * machine.cores
    kept = sum(plan.kept_bytes[stage_key] for stage_key in missing if stage_key not in plan.tapes)
    tapes = sum(plan.kept_bytes[stage_key] for stage_key in missing if stage_key in plan.tapes)
    working = sorted((plan.working_bytes[stage_key] for stage_key in missing), reverse=True)
    return Outlook(
        wall_seconds=max((gpu_seconds + cpu_seconds) / max(machine.gpus, 1), _longest_chain(plan, missing, seconds)),
        gpu_hours=gpu_seconds / SECONDS_PER_HOUR,
        kwh=joules / JOULES_PER_KWH,
        kept_bytes=kept,
        peak_bytes=kept + tapes + sum(working[: max(machine.gpus, 1)]),
    )


def _longest_chain(plan: Plan, missing: Iterable[str], seconds: Mapping[str, float]) -> float:
    """Seconds of the longest chain of stages, each of which reads the one before."""
    until: dict[str, float] = {}
    for stage_key in missing:  # each after its inputs
        start = max((until.get(key(needed), 0.0) for needed in inputs(plan.stages[stage_key]).values()), default=0.0)
        until[stage_key] = start + seconds[stage_key]
    return max(until.values(), default=0.0)
