"""Control groups of this process, in which containers and batch systems limit what it may use."""

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def groups(controller: str, cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Iterator[Path]:
    """The folders of the groups of this process that a controller may limit, and of all their parents.

    Args:
        controller: such as `cpu` or `memory`.
        cgroups: where the control groups are mounted, of version 1 or 2.
        own: the file that names the groups of this process.
    """
    lines = own.read_text().splitlines() if own.exists() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and controller not in controllers.split(","):
            continue
        top = cgroups / controller if controllers else cgroups
        group = top / path.strip("/")
        yield from [group, *(folder for folder in group.parents if folder.is_relative_to(top))]


def number_in(path: Path) -> int | None:
    """The number that a file of a group holds, or None where it holds none, such as `max`."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
