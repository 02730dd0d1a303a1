"""CPU cores that this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def available_cpus(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """The number of CPU cores of this process: those it may run on, or fewer where its container is granted less.

    Args:
        cgroups: where the control groups are mounted, of version 1 or 2.
        own: the file that names the groups of this process.
    """
    quotas = [quota for folder in _groups(cgroups, own) if (quota := _quota(folder)) is not None]
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *quotas])))


def _groups(cgroups: Path, own: Path) -> Iterator[Path]:
    """The folders of the groups of this process that limit its cores, and of all their parents."""
    lines = own.read_text().splitlines() if own.exists() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / "cpu" if controllers else cgroups
        group = top / path.strip("/")
        yield from [group, *(folder for folder in group.parents if folder.is_relative_to(top))]


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
