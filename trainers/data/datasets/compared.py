"""Pairs of recordings that were compared for copies, and are the same as they were then."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from trainers.data.datasets.dataset import RegisteredVideo
from trainers.runtime.arrays import read_arrays, write_arrays

FORMAT = 2
"""Raised when comparing finds something else, so that what was found before is not used."""
FILE_NAME = "compared.npz"


class Compared:
    """Which pairs of recordings were compared, and which of them are copies; kept in a file that may be deleted.

    Args:
        folder: of the file.
        version: of the samples that are compared; a file of other ones is not used.
    """

    def __init__(self, folder: Path, version: int) -> None:
        self._path = folder / FILE_NAME
        self._version = f"{FORMAT} {version}"
        self._numbers: dict[str, int] = {}
        self._known = np.zeros((0, 0), bool)
        self._copies = np.zeros((0, 0), bool)
        self._changed = False
        self._read()

    def of(self, one: RegisteredVideo, others: Sequence[RegisteredVideo]) -> tuple[np.ndarray, np.ndarray]:
        """Whether one was compared with each of the others, and whether that is a copy (booleans)."""
        row, columns = self._number(one), [self._number(other) for other in others]
        return self._known[row, columns], self._copies[row, columns]

    def add(self, one: RegisteredVideo, others: Sequence[RegisteredVideo], are_copies: np.ndarray) -> None:
        """Notes what comparing one with each of the others has found."""
        row, columns = self._number(one), [self._number(other) for other in others]
        for first, second in ((row, columns), (columns, row)):
            self._known[first, second] = True
            self._copies[first, second] = are_copies
        self._changed |= bool(columns)

    def write(self, recordings: Iterable[RegisteredVideo]) -> None:
        """Keeps what is known of some recordings, where anything has changed."""
        if not self._changed:
            return
        kept = sorted({self._number(each) for each in recordings})
        names = list(self._numbers)
        arrays = {
            "version": np.array(self._version),
            "recordings": np.array([names[number] for number in kept]),
            "known": np.packbits(self._known[np.ix_(kept, kept)]),
            "copies": np.packbits(self._copies[np.ix_(kept, kept)]),
        }
        write_arrays(self._path, arrays)

    def _read(self) -> None:
        arrays = read_arrays(self._path)
        if arrays is None or str(arrays["version"]) != self._version:
            return
        names = arrays["recordings"].tolist()
        self._numbers = {name: number for number, name in enumerate(names)}
        self._known, self._copies = (self._square(arrays[name], len(names)) for name in ("known", "copies"))

    @staticmethod
    def _square(bits: np.ndarray, side: int) -> np.ndarray:
        return np.unpackbits(bits, count=side * side).reshape(side, side).astype(bool)

    def _number(self, recording: RegisteredVideo) -> int:
        name = f"{recording.video_digest} {recording.num_frames} {recording.fps!r}"
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= len(self._known):
            room = max(2 * number, 16) - len(self._known)
            self._known, self._copies = (np.pad(each, (0, room)) for each in (self._known, self._copies))
        return number
