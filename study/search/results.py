"""Results of a search: its trials, the best of them, importances, and epochs spent."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from study.search.optuna_study import without_duplicates
from study.search.pruner import SuccessiveHalving
from study.search.space import Space

ENOUGH_TRIALS = 8
"""Completed trials that importances need."""
STATES = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "not finished",
    TrialState.WAITING: "not begun",
}


@dataclass(frozen=True, kw_only=True)
class SearchResults:
    """Trials of a search with their context, for the report.

    Attributes:
        space: the space that was searched.
        study: the Optuna study.
        halving: the pruner; None where no curve was observed.
        evaluation: the command that evaluates the best trial on test videos; None where there is no best trial.
        context: the facts at the top of the report, by name.
        remarks: sentences on stages whose metrics say that their training came to nothing.
    """

    space: Space
    study: optuna.Study
    halving: SuccessiveHalving | None
    evaluation: str | None
    context: Mapping[str, str]
    remarks: Sequence[str] = ()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials but for duplicates."""
        return without_duplicates(self.study.get_trials(deepcopy=False))

    @property
    def best(self) -> FrozenTrial | None:
        """The best completed trial, the first of equal ones."""
        return best_of(self.trials, maximised=self.space.search.objective.maximised)


def best_of(trials: Sequence[FrozenTrial], *, maximised: bool) -> FrozenTrial | None:
    """The best completed trial, the first of equal ones."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sign = -1 if maximised else 1
    return min(done, key=lambda trial: sign * trial.values[0], default=None)


def importances(study: optuna.Study) -> dict[str, float]:
    """Importance of each hyperparameter for the best tenth of trials (PED-ANOVA); empty with too few trials."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < ENOUGH_TRIALS:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about conditional hyperparameters
        try:
            found = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError):  # such as all trials of one value
            return {}
    return {name: value for name, value in found.items() if value > 0}


def epochs_spent(trials: Sequence[FrozenTrial]) -> int:
    """Total number of epochs of the observed stages."""
    return sum(trial.last_step or 0 for trial in trials)


def epochs_unstopped(trials: Sequence[FrozenTrial], epochs: int) -> int:
    """Total number of epochs without early stopping; of a failed or running trial, those that it has had."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return sum(epochs if trial.state in ended else trial.last_step or 0 for trial in trials)
