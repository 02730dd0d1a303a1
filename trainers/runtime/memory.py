"""Memory that this process may use."""

from pathlib import Path

import psutil

from trainers.runtime.cgroups import CGROUPS, OWN_CGROUPS, groups, number_in

FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and the part of the use that is cached files: of versions 2 and 1."""


def available_bytes(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """The memory that is free for this process: on the machine, or less where a group of its own has a limit.

    Args:
        cgroups: where the control groups are mounted, of version 1 or 2.
        own: the file that names the groups of this process.
    """
    left = [free for group in groups("memory", cgroups, own) if (free := _left(group)) is not None]
    return max(0, min([psutil.virtual_memory().available, *left]))


def _left(group: Path) -> int | None:
    """What a group has left of its limit, or None where it has none; cached files give way and do not count."""
    for limit_file, usage_file, inactive in FILES:
        limit, usage = number_in(group / limit_file), number_in(group / usage_file)
        if limit is not None and usage is not None:
            return limit - (usage - _statistic(group / "memory.stat", inactive))
    return None


def _statistic(path: Path, name: str) -> int:
    try:
        values = dict(line.split(" ", 1) for line in path.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(values.get(name, 0))
