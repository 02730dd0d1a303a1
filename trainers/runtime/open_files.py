"""Open files of this process: their limit, and those that stay open to be read at random."""

import os
import resource
import threading
from pathlib import Path

ENOUGH = 65_536
"""A higher limit than this makes some programs slow that are started here."""
KEPT_SHARE = 2
"""Of the files that may be open, one in so many may be kept open: the others are for everything else."""


def raise_limit() -> int:
    """Raises this process's limit of open files as far as it may be raised, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ENOUGH if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class RandomFile:
    """A file that threads read at random: it stays open, or is opened for every read where too many are open."""

    _num_kept = 0
    _lock = threading.Lock()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        with self._lock:
            if RandomFile._num_kept < raise_limit() // KEPT_SHARE:
                self._descriptor = os.open(path, os.O_RDONLY)
                RandomFile._num_kept += 1

    def read(self, length: int, offset: int) -> bytes:
        """The bytes from an offset on."""
        if self._descriptor is not None:
            return os.pread(self._descriptor, length, offset)
        with self._path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
            with self._lock:
                RandomFile._num_kept -= 1
