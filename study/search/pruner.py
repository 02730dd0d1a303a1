"""Which trials of a search are stopped early: asynchronous successive halving (Li et al., arXiv 1810.05934)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Halving(optuna.pruners.BasePruner):
    """Decides as Optuna's SuccessiveHalvingPruner does, from the curves alone.

    That one notes in the storage which rungs a trial has reached, before it says whether to stop it there. A driver
    that is killed in between would leave a trial that is past its rung and was never stopped; here the same question
    has the same answer however often it is asked.

    Attributes:
        epochs: of a trial that is not stopped. There are two decisions on the way to them, and none at their end.
        factor: one of so many goes on at every rung, and the next rung is so many times as far.
    """

    epochs: int
    factor: int = 3

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs after which it is decided; where no value is known then, after the next one that has one."""
        first = max(1, math.ceil(self.epochs / self.factor**2))
        return tuple(rung for rung in (first, first * self.factor) if rung < self.epochs)

    def decided_after(self, trials: Sequence[FrozenTrial]) -> tuple[int, ...]:
        """The epochs after which it was decided so far: the first ones, from a rung on, whose values are known."""
        reached = {_reached(trial, rung) for trial in trials for rung in self.rungs}
        return tuple(sorted(epoch for epoch in reached if epoch is not None and epoch < self.epochs))

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether to stop a trial after the last of its epochs."""
        return self.stops(trial, study.get_trials(deepcopy=False), study.direction)

    def stops(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], direction: StudyDirection) -> bool:
        """Whether to stop a trial after the last of its epochs, among these trials (it may be one of them)."""
        if trial.last_step is None:
            return False
        sign = 1 if direction == StudyDirection.MAXIMIZE else -1
        for rung in self.rungs:
            if _reached(trial, rung) != trial.last_step or trial.last_step >= self.epochs:
                continue
            value = sign * trial.intermediate_values[trial.last_step]
            others = [sign * v for t in trials if t.number != trial.number and (v := _value_at(t, rung)) is not None]
            if math.isnan(value) or not self._is_promoted(value, [*others, value]):
                return True
        return False

    def _is_promoted(self, value: float, competing: list[float]) -> bool:
        place = max(len(competing) // self.factor, 1)
        return value >= sorted(competing, reverse=True)[place - 1]


def _reached(trial: FrozenTrial, rung: int) -> int | None:
    """The first epoch, from a rung on, whose value is known."""
    return min((epoch for epoch in trial.intermediate_values if epoch >= rung), default=None)


def _value_at(trial: FrozenTrial, rung: int) -> float | None:
    epoch = _reached(trial, rung)
    value = None if epoch is None else trial.intermediate_values[epoch]
    return None if value is None or math.isnan(value) else value
