"""CPU cores that this process may use."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

from trainers.runtime.cgroups import CGROUPS, OWN_CGROUPS, groups

ALLOCATED = "SLURM_CPUS_ON_NODE"
"""Cores of this node that Slurm has allocated to the job, also where it binds no process to them."""


def available_cpus(
    cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS, environment: Mapping[str, str] = os.environ
) -> int:
    """The number of CPU cores of this process: those it may run on, or fewer where it is granted less.

    Args:
        cgroups: where the control groups are mounted, of version 1 or 2.
        own: the file that names the groups of this process.
        environment: the variables in which a batch system says what it has allocated.
    """
    quotas = [quota for folder in groups("cpu", cgroups, own) if (quota := _quota(folder)) is not None]
    allocated = environment.get(ALLOCATED, "")
    granted = [*quotas, *([int(allocated)] if allocated.isdecimal() else [])]
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *granted])))


def _quota(group: Path) -> float | None:
    """The cores that a group is granted, or None where it has no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    except (OSError, ValueError):
        return None
    return int(quota) / int(period) if quota.isdecimal() else None
