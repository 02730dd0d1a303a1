"""What this machine lends: the cores, memory and GPUs that processes started here may use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from trainers.runtime.cpus import available_cpus
from trainers.runtime.memory import available_bytes

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
PART_OF_A_GPU = "MIG-"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Cores, memory and GPUs that may be used, by the affinity and the control groups of this process."""

    cpus: int
    memory_bytes: int
    gpus: int


def this_machine() -> Machine:
    """What processes that are started here may use."""
    return Machine(cpus=available_cpus(), memory_bytes=available_bytes(), gpus=num_gpus())


def gpu_name() -> str:
    """The name that the driver gives to the first GPU."""
    import torch

    return torch.cuda.get_device_name(0)


def num_gpus(environment: Mapping[str, str] = os.environ) -> int:
    """The number of GPUs, by number, UUID or MIG instance, of which every process can be given its own.

    Where several MIG instances are named, a process sees the first of them alone, so torch counts one.
    """
    import torch  # takes a second to import

    named = (name.strip() for name in environment.get(VISIBLE_GPUS, "").split(","))
    instances = {name for name in named if name.startswith(PART_OF_A_GPU)}
    seen = torch.cuda.device_count()
    return len(instances) if seen and instances else seen
