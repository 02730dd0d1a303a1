"""Forecast of the time that is left for a plan, by the pace of its stages and how many run at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from study.core.graph import inputs, key
from study.core.plan import Plan
from trainers.stage import Stage

OWN_PACE_FROM = 0.01
"""Fraction of a stage after whose reports its own pace counts more than what was expected of it."""


@dataclass
class _Pace:
    """A stage's first and latest report of the fraction that is done, with their times."""

    first: float
    first_time: float
    latest: float
    latest_time: float

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the stage is done at its own pace; None where it has not done enough to have one."""
        done = self.latest - self.first
        if done < OWN_PACE_FROM or self.latest_time <= self.first_time:
            return None
        left = (self.latest_time - self.first_time) / done * (1 - self.latest)
        return max(left - (now - self.latest_time), 0.0)


class Forecast:
    """Expected seconds that are left, corrected by the measured pace of each kind of stage in this run.

    A stage at work is expected to go on at its own pace.

    Args:
        plan: the stages.
        clock: the time in seconds.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[str, _Pace] = {}
        self._expected = {stage_key: plan.seconds[stage_key] for stage_key in plan.missing}
        self._kinds = {stage_key: plan.stages[stage_key].kind for stage_key in plan.missing}
        self._needs = {k: [key(needed) for needed in inputs(plan.stages[k]).values()] for k in plan.missing}
        self._left = dict.fromkeys(plan.missing, 1.0)
        self._measured: dict[str, list[float]] = {}
        self._at_work: set[str] = set()
        self._most_at_work = 1

    def start(self, stage: Stage) -> None:
        """Notes that a stage is being computed."""
        self._at_work.add(key(stage))
        self._most_at_work = max(self._most_at_work, len(self._at_work))

    def advance(self, stage: Stage, fraction: float) -> None:
        """Notes the fraction of a stage that is done."""
        self._left[key(stage)] = 1 - fraction
        now, pace = self._clock(), self._paces.get(key(stage))
        if pace is None or fraction < pace.latest:  # it went back to its last checkpoint
            self._paces[key(stage)] = _Pace(fraction, now, fraction, now)
        else:
            pace.latest, pace.latest_time = fraction, now

    def measure(self, stage: Stage, seconds: float) -> None:
        """Notes the seconds that a stage took."""
        sums = self._measured.setdefault(stage.kind, [0.0, 0.0])
        sums[0] += seconds
        sums[1] += self._expected[key(stage)]

    def pause(self, stage: Stage) -> None:
        """Notes that a stage is no longer being computed, though not finished."""
        self._at_work.discard(key(stage))
        self._paces.pop(key(stage), None)

    def settle(self, stage: Stage) -> None:
        """Notes that nothing is left to do for a stage."""
        self.pause(stage)
        self._left[key(stage)] = 0.0

    def seconds(self) -> float:
        """Expected seconds until all stages are done: all work over those that ran at once, or the longest chain."""
        return max(sum(map(self._own_seconds, self._left)) / self._most_at_work, self._longest_chain())

    def stage_seconds(self, stage: Stage) -> float:
        """Expected seconds until a stage that is being computed is done."""
        return self._own_seconds(key(stage))

    def _longest_chain(self) -> float:
        until: dict[str, float] = {}
        for stage_key in self._left:  # each after its inputs
            start = max((until.get(needed, 0.0) for needed in self._needs[stage_key]), default=0.0)
            until[stage_key] = start + self._own_seconds(stage_key)
        return max(until.values(), default=0.0)

    def _own_seconds(self, stage_key: str) -> float:
        own = self._paces[stage_key].seconds_left(self._clock()) if stage_key in self._paces else None
        if own is not None:
            return own
        measured, expected = self._measured.get(self._kinds[stage_key], (1.0, 1.0))
        return self._left[stage_key] * self._expected[stage_key] * (measured / expected if expected else 1.0)
