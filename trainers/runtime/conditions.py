"""Conditions under which networks give the same bits again, as far as a process can know them."""

from dataclasses import dataclass

import torch

from trainers.runtime import distributed
from trainers.runtime.machine import cpu_name


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
        device=f"{cpu_name()} with {torch.backends.cpu.get_cpu_capability()}"
        if on_cpu
        else torch.cuda.get_device_name(device),
        torch=torch.__version__,
        threads=torch.get_num_threads() if on_cpu else 0,
        workers=distributed.world_size(),
    )
