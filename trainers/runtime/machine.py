"""What this machine lends: the cores, memory and GPUs that processes started here may use."""

import functools
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainers.runtime.cpus import available_cpus
from trainers.runtime.memory import available_bytes

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
PART_OF_A_GPU = "MIG-"
UNKNOWN_GPU = "GPU of an unknown kind"
ANSWER_SECONDS = 10
"""Time limit for the driver to name a GPU."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Cores, memory and GPUs that may be used, by the affinity and the control groups of this process."""

    cpus: int
    memory_bytes: int
    gpus: int


def this_machine() -> Machine:
    """What processes that are started here may use."""
    return Machine(cpus=available_cpus(), memory_bytes=available_bytes(), gpus=num_gpus())


def gpu_name(environment: Mapping[str, str] = os.environ) -> str:
    """The name that the driver gives to the first GPU; torch would take memory of the GPU to say it."""
    first = environment.get(VISIBLE_GPUS, "").partition(",")[0].strip()
    chosen = [f"--id={first}"] if first and not first.startswith(PART_OF_A_GPU) else []
    command = ["nvidia-smi", *chosen, "--query-gpu=name", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
        return answer.stdout.partition("\n")[0].strip() or UNKNOWN_GPU
    return UNKNOWN_GPU


@functools.cache
def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of this machine's CPU, or of its kind where the system has no name for it."""
    with suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def device_name(gpus: float) -> str | None:
    """The name of what computes in this process, where it was granted these GPUs; None where it sees none of them."""
    if not gpus:
        return cpu_name()
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def num_gpus(environment: Mapping[str, str] = os.environ) -> int:
    """The number of GPUs, by number, UUID or MIG instance, of which every process can be given its own.

    Where several MIG instances are named, a process sees the first of them alone, so torch counts one.
    """
    import torch  # takes a second to import

    named = (name.strip() for name in environment.get(VISIBLE_GPUS, "").split(","))
    instances = {name for name in named if name.startswith(PART_OF_A_GPU)}
    seen = torch.cuda.device_count()
    return len(instances) if seen and instances else seen
