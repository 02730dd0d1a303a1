"""File that is digested while it is read: who needs both reads it once."""

import hashlib
import os
from pathlib import Path
from typing import Self

from trainers.stage import InputError

CHUNK_BYTES = 1 << 20
DIGEST_BYTES = 16
MOST_SKIPPED_BYTES = 1 << 20
"""What a reader skips up to this length is read for the digest alone; after a longer leap, the end is."""


class DigestedFile:
    """Binary file whose content digest, BLAKE2b, grows with what is read, as long as that is in order.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): let this user read it.") from error
        self._content = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._num_digested = 0

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many."""
        start = self._file.tell()
        data = self._file.read(size)
        if self._num_digested < start <= self._num_digested + MOST_SKIPPED_BYTES:
            self._add(os.pread(self._file.fileno(), start - self._num_digested, self._num_digested))
        if start <= self._num_digested < start + len(data):
            self._add(data[self._num_digested - start :])
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to another place, and returns it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place of the next byte that is read."""
        return self._file.tell()

    def digest(self) -> str:
        """The digest of the whole file, in hexadecimal; what was not read yet is read now."""
        while data := os.pread(self._file.fileno(), CHUNK_BYTES, self._num_digested):
            self._add(data)
        return self._content.hexdigest()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, data: bytes) -> None:
        self._content.update(data)
        self._num_digested += len(data)
