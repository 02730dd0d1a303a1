"""Source of an ingest: a recording that was opened, whatever it lies in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trainers.fields import Rate

Labels = np.ndarray
NumberedImages = Iterator[tuple[int, np.ndarray]]
"""RGB images (H×W×3, uint8) with their numbers, in order."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recording that was opened for ingest; lengths and indices are in frames at its own rate.

    Attributes:
        fps: its own rate.
        width_px, height_px: size of its frames.
        num_frames: its length.
        end_seconds: the time before which the last row begins.
        samples: some RGB images spread over the recording, to find its margins in.
        images: the wanted frames in order, by their index at the recording's rate.
        frame_at: the numbers of the frames that are shown at some times, in seconds from the first.
        shown: the wanted frames in order, by these numbers.
        warnings: what is known to be unusual from the beginning.
        seen: further warnings, known when the images have been read.
        slack: the number of further frames that the recording may have had, where not all of them were kept.
    """

    fps: Rate
    width_px: int
    height_px: int
    num_frames: int
    end_seconds: float
    samples: Callable[[int], Sequence[np.ndarray]]
    images: Callable[[range], NumberedImages]
    frame_at: Callable[[np.ndarray], np.ndarray]
    shown: Callable[[Sequence[int]], NumberedImages]
    warnings: tuple[str, ...] = ()
    seen: Callable[[], Sequence[str]] = tuple
    slack: int = 0

    def length_beside(self, labels: Labels | None) -> int:
        """The number of frames, which the annotation tells as far as the recording leaves it open."""
        return self.num_frames if labels is None else length_beside(self.num_frames, labels, self.slack)


def length_beside(num_frames: int, labels: Labels, slack: int) -> int:
    """The length of a recording that may have had some further frames, which its annotation tells."""
    return min(max(num_frames, len(labels)), num_frames + slack)
