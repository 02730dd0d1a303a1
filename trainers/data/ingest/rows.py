"""Rows of a frame store before they are stored: what each of them is, and what their audit says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

TOLERATED_SECONDS = 1.0
"""Up to how much time lengths may differ, or frames be missing, before a recording is refused."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Rows of a recording.

    Attributes:
        indices: the column `frame` (num_rows, int64).
        labels: phase indices, −1 where there is none (num_rows, int8).
        images: the RGB image of each row (H×W×3, uint8) with the row's number; rows that it leaves out are not stored.
        num_video: length of the recording, in frames at its own rate.
        num_annotated: that of its annotation; None without one.
        num_cut: frames that the longer of the two loses.
        phases: frames of every phase that occurs.
        warnings: on lengths and labels, one sentence each.
    """

    indices: np.ndarray
    labels: np.ndarray
    images: Iterator[tuple[int, np.ndarray]]
    num_video: int
    num_annotated: int | None
    num_cut: int
    phases: Mapping[str, int]
    warnings: tuple[str, ...]
