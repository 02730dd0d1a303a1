"""Labels of a recording by time."""

from dataclasses import dataclass

import numpy as np

from trainers.data.frames import UNLABELLED

ROUNDING_SECONDS = 0.0006
"""By how much a time may be rounded: annotations in seconds are written to the thousandth at best."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelTrack:
    """Labels of a recording by time: spans in order, none over another, with holes where nothing was annotated.

    Attributes:
        starts: of every span in seconds from the first frame of the recording (num_spans, float64).
        ends: of every span, in seconds; the span ends before it (num_spans, float64).
        labels: the phase index of every span, or −1 (num_spans, int8).
        seconds: the length of the annotation.
        row_seconds: for how long a row is valid; 0 where there are intervals instead.
    """

    starts: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    seconds: float
    row_seconds: float = 0.0

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """The labels that are valid at some times (int8): phase indices, −1 in holes and outside the annotation."""
        moments = np.asarray(seconds, np.float64) + ROUNDING_SECONDS
        if not len(self.starts):
            return np.full(moments.shape, UNLABELLED, np.int8)
        span = np.searchsorted(self.starts, moments, side="right") - 1
        covered = (span >= 0) & (moments < self.ends[span])
        return np.where(covered, self.labels[span], np.int8(UNLABELLED))

    def holes(self) -> list[tuple[float, float]]:
        """The stretches of the annotation without a label, as start and end in seconds."""
        labelled = self.labels != UNLABELLED
        starts, ends = self.starts[labelled], self.ends[labelled]
        edges = zip(np.append(0.0, ends), np.append(starts, self.seconds), strict=True)
        return [(float(start), float(end)) for start, end in edges if end - start > ROUNDING_SECONDS]


def track_of_rows(times: np.ndarray, labels: np.ndarray, rate: float) -> LabelTrack:
    """Labels of rows, each valid for 1/rate seconds from its time or until the next row."""
    period = 1 / rate
    following = np.append(times[1:], np.inf)
    ends = np.minimum(times + period, following)
    near = np.abs(following - times - period) <= ROUNDING_SECONDS
    ends[near] = following[near]
    length = float(ends[-1]) if len(ends) else 0.0
    return LabelTrack(starts=times, ends=ends, labels=labels, seconds=length, row_seconds=period)
