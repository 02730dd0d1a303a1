"""Running trial of a search, and the observer interface for trials."""

from dataclasses import dataclass

from study.core.plan import Plan
from study.core.study import Trial
from study.search.objective import PruningSignal
from study.search.space import Parameters


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that is being computed.

    Attributes:
        number: the number of the trial in the search.
        trial: its parameters and its last stage.
        signal: the stage whose curve decides about early stopping; None where there is none.
        plan: its stages, and those that are missing.
        again: whether an interrupted driver had begun it.
    """

    number: int
    trial: Trial
    signal: PruningSignal | None
    plan: Plan
    again: bool


class SearchObserver:
    """Observer of the trials of a search; every method does nothing by default.

    It is called just before a result is stored, so that it is called twice if the driver dies in between.
    """

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        """A trial begins; `again` if an interrupted driver had begun it."""

    def trial_completed(self, trial: Trial, value: float) -> None:
        """A trial's value is known."""

    def trial_pruned(self, trial: Trial, epoch: int, value: float) -> None:
        """A trial was stopped early, after an epoch with this value of the observed metric."""

    def trial_failed(self, trial: Trial, problem: str) -> None:
        """A trial failed for a reason of its own."""

    def point_refused(self, number: int, parameters: Parameters, problem: str) -> None:
        """The recipe refuses a point, whose trial is a failed one of that number."""
