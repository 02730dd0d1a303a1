"""Pruner of a search: asynchronous successive halving (Li et al., arXiv 1810.05934)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class SuccessiveHalving(optuna.pruners.BasePruner):
    """The decisions of Optuna's SuccessiveHalvingPruner, from the curves alone.

    Optuna's pruner stores the rungs that a trial has reached before it decides. If the driver is killed in between, the
    trial is past its rung and is never stopped. Here a decision may be repeated and stays the same.

    Attributes:
        epochs: number of epochs of a trial that is not stopped; there are two rungs before their end.
        factor: one of `factor` trials goes on at every rung, and the next rung is `factor` times as far.
        first_epoch: no decision falls before it.
    """

    epochs: int
    factor: int = 3
    first_epoch: int = 1

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of the decisions; where a trial has no value at a rung, the next epoch with a value counts."""
        first = max(self.first_epoch, math.ceil(self.epochs / self.factor**2))
        return tuple(rung for rung in (first, first * self.factor) if rung < self.epochs)

    def decision_epochs(self, trials: Sequence[FrozenTrial]) -> tuple[int, ...]:
        """Epochs of the decisions so far: of every trial, the first epochs with a value from each rung on."""
        reached = {_reached(trial, rung) for trial in trials for rung in self.rungs}
        return tuple(sorted(epoch for epoch in reached if epoch is not None and epoch < self.epochs))

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether to stop a trial after its last reported epoch."""
        return self.stops(trial, study.get_trials(deepcopy=False), study.direction)

    def stops(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], direction: StudyDirection) -> bool:
        """Whether to stop a trial after its last reported epoch, compared with `trials` (it may be one of them)."""
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
    """The first epoch with a value, from a rung on."""
    return min((epoch for epoch in trial.intermediate_values if epoch >= rung), default=None)


def _value_at(trial: FrozenTrial, rung: int) -> float | None:
    epoch = _reached(trial, rung)
    value = None if epoch is None else trial.intermediate_values[epoch]
    return None if value is None or math.isnan(value) else value
