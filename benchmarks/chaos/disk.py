"""Small disk in memory, which a fault can fill."""

import errno
import os
import subprocess
from pathlib import Path

CHUNK_BYTES = 2**16


class SmallDisk:
    """A tmpfs of a given size; without the right to mount one, a plain folder that cannot be filled.

    Attributes:
        folder: where it is mounted.
        can_be_filled: whether it is a tmpfs.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._megabytes = megabytes
        self._ballast = folder / "ballast"
        self.can_be_filled = False

    def __enter__(self) -> "SmallDisk":
        self.folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "tmpfs", str(self.folder)]
        self.can_be_filled = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self

    def __exit__(self, *exception: object) -> None:
        if self.can_be_filled:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)

    def fill(self) -> int:
        """Fills it to the last byte, and returns how many bytes that took."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (2**20, CHUNK_BYTES, 2**12):
                try:
                    while True:
                        os.write(file.fileno(), bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        return self._ballast.stat().st_size

    def free(self) -> None:
        """Removes what filled it."""
        self._ballast.unlink(missing_ok=True)
