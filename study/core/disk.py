"""Errors of a full disk, distinguished from other errors."""

import errno
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainers.stage import MachineError

FULL_DISK_BYTES = 2**20


class DiskFullError(MachineError):
    """The disk is full, so that no other stage can be computed either."""


@contextmanager
def translate_disk_errors(place: Path) -> Iterator[None]:
    """Raises DiskFullError, which says what to do, for the errors that libraries raise on a full disk."""
    try:
        yield
    except Exception as error:
        free = _free_bytes(place)
        known = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        # torch's writers raise a RuntimeError without the system's error number.
        if not known and not (isinstance(error, OSError | RuntimeError) and free < FULL_DISK_BYTES):
            raise
        raise DiskFullError(
            f"the disk of {place} is full ({free / 2**20:.0f} MiB left): free some space and type the same command "
            "again; finished stages are kept and this one goes on from its last checkpoint."
        ) from error


def _free_bytes(place: Path) -> float:
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return math.inf
