"""Forecast of the time that is left for a plan, by the time its finished stages took and how many run at once."""

from study.core.graph import inputs, key
from study.core.plan import Plan
from trainers.stage import Stage


class Forecast:
    """Expected seconds that are left, corrected by the measured pace of each kind of stage in this run."""

    def __init__(self, plan: Plan) -> None:
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

    def measure(self, stage: Stage, seconds: float) -> None:
        """Notes the seconds that a stage took."""
        sums = self._measured.setdefault(stage.kind, [0.0, 0.0])
        sums[0] += seconds
        sums[1] += self._expected[key(stage)]

    def pause(self, stage: Stage) -> None:
        """Notes that a stage is no longer being computed, though not finished."""
        self._at_work.discard(key(stage))

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
        measured, expected = self._measured.get(self._kinds[stage_key], (1.0, 1.0))
        return self._left[stage_key] * self._expected[stage_key] * (measured / expected if expected else 1.0)
