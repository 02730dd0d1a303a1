"""Conditions under which networks give the same bits again, as far as a process can know them."""

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from trainers.runtime import distributed


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions of a computation on which the last bits of its results may depend.

    Attributes:
        device: name of the GPU, or model of the CPU and its instructions.
        torch: version of torch.
        threads: of torch on a CPU; 0 on a GPU.
        workers: that share every batch.
    """

    device: str
    torch: str
    threads: int
    workers: int

    @property
    def described(self) -> str:
        """The same in words."""
        threads = f", {self.threads} threads" if self.threads else ""
        return f"{self.device}{threads}, {self.workers} workers, torch {self.torch}"


def conditions_on(device: torch.device) -> Conditions:
    """The conditions in this process, which computes on a device."""
    on_cpu = device.type == "cpu"
    return Conditions(
        device=_cpu() if on_cpu else torch.cuda.get_device_name(device),
        torch=torch.__version__,
        threads=torch.get_num_threads() if on_cpu else 0,
        workers=distributed.world_size(),
    )


def _cpu() -> str:
    """Model of the CPU, and the instructions of it that torch uses."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(models, platform.machine())} with {torch.backends.cpu.get_cpu_capability()}"
