"""Pace of a stage at work, by its own reports, and the device that they name."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trainers.stage import Progress, Report

LEAST_FRACTION, LEAST_SECONDS = 0.05, 5.0
"""Part of a stage, and time, between its first and its last report, for a pace: first steps take many times as long."""


@dataclass
class Pace:
    """Pace of one attempt at a stage: from its first report on, so that what it takes to start does not count.

    Attributes:
        clock: the time in seconds.
        device: that reports named, the last one's.
    """

    clock: Callable[[], float] = time.monotonic
    device: str | None = None
    _reports: list[tuple[float, float]] = field(default_factory=list)

    def take(self, report: Report) -> None:
        """Notes a report of the stage."""
        if isinstance(report, Progress):
            self.device = report.device or self.device
            self._reports[1:] = [(self.clock(), report.fraction)]

    @property
    def steady_seconds(self) -> float | None:
        """Seconds that the whole stage would take at this pace; None where too little of it was reported."""
        if len(self._reports) < 2:
            return None
        (start, begun), (end, done) = self._reports
        if done - begun < LEAST_FRACTION or end - start < LEAST_SECONDS:
            return None
        return (end - start) / (done - begun)
