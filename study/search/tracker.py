"""A search in MLflow: one experiment, a run per search, a run per trial below it, made when the trial begins."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from study.analysis.results import PRETRAINING, TEMPORAL, TrialResult, last_of, read_curves, starting_points_of
from study.core.graph import key
from study.core.plan import Plan
from study.core.study import Row, Study, Trial
from study.search.loop import SearchObserver
from study.search.optuna_study import Suggestions
from study.search.request import folder_name
from study.search.space import Search
from study.tracking import records
from study.tracking.journal import Journal
from study.tracking.records import NOTE, RunContext
from study.tracking.tracker import FAILED, FINISHED, KILLED, RUNNING, Tracker, own_stages
from trainers.stage import InputError

VALUE = "validation/objective"
REPORT_FILES = ("report.html", "search.json")
OPTUNA_STUDY, OPTUNA_TRIAL, STATE = "freelunch.optuna_study", "freelunch.optuna_trial", "freelunch.state"


@dataclass(frozen=True, kw_only=True)
class SearchContext(RunContext):
    """What the runs of a search have in common."""

    @property
    def experiment(self) -> dict[str, Any]:
        experiment = super().experiment
        return {**experiment, "tags": {**experiment["tags"], "mlflow.experiment.primaryMetric.name": VALUE}}


class SearchTracker(Tracker, SearchObserver):
    """Keeps a search's trials in MLflow while they are computed.

    Args:
        search: the question.
        suggestions: the search's memory, which learns of every trial's run.
        arguments: as for `Tracker`, whose study and trials come of the search.
    """

    def __init__(self, *, search: Search, suggestions: Suggestions, **arguments: Any) -> None:
        super().__init__(study=as_study(search), trials=(), **arguments)
        self._asked = SearchContext(**vars(self._asked))
        self._suggestions = suggestions
        self._is_ending = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ending = True
        super().__exit__(kind, error, trace)
        for trial in self._trials.values():
            self._link(trial)

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        trial_key = key(trial.stage)
        self._trials[trial_key] = trial
        self._goes_on()
        self._own |= own_stages({trial_key: trial}, starting_points_of((trial,)))
        self._open_trial(trial_key)
        if journal := self._journals.get(trial_key):
            journal.tags({OPTUNA_STUDY: self._suggestions.name, OPTUNA_TRIAL: str(trial.number)})
            journal.set_status(RUNNING)
            self._sender.notice(journal)

    def trial_completed(self, trial: Trial, value: float) -> None:
        if journal := self._journals.get(key(trial.stage)):
            journal.metrics({VALUE: value}, 0)
            self._conclude_trial(trial, journal, FINISHED, "completed")

    def trial_pruned(self, trial: Trial, epoch: int, value: float) -> None:
        if journal := self._journals.get(key(trial.stage)):
            self._conclude_trial(trial, journal, KILLED, f"stopped early, after epoch {epoch}")

    def trial_failed(self, trial: Trial, problem: str) -> None:
        if journal := self._journals.get(key(trial.stage)):
            self._conclude_trial(trial, journal, FAILED, "failed", problem)

    def take_report(self, folder: Path, summary: str) -> None:
        """Takes the report that was written, and what it comes to in Markdown."""
        if journal := self._journals.get(""):
            journal.tags({NOTE: summary})
            for name in REPORT_FILES:
                journal.artifact(folder / name)
            self._sender.notice(journal)

    def _goes_on(self) -> None:
        """Has the search's own run be at work, which an earlier command may have ended."""
        if journal := self._journals.get(""):
            journal.set_status(RUNNING)
            self._sender.notice(journal)

    def _conclude_trial(self, trial: Trial, journal: Journal, status: str, state: str, problem: str = "") -> None:
        try:
            records.log_curves(journal, self._result(trial), self._store)
        except InputError as damage:
            self._say(str(damage))
        self._link(trial)
        journal.tags({STATE: state})
        records.log_end(journal, status, problem)
        self._sender.notice(journal)

    def _link(self, trial: Trial) -> None:
        """Has Optuna know a trial's run, if there is one yet."""
        journal = self._journals.get(key(trial.stage))
        run = journal.sent(self._uri)["run_id"] if journal else None
        if run is not None:
            self._suggestions.note_run(trial.number, run)

    def _result(self, trial: Trial) -> TrialResult:
        curves = {name: read_curves(last_of(trial, name), self._store) for name in (PRETRAINING, TEMPORAL)}
        return TrialResult(
            trial=trial, scores=None, problem="", pretraining=curves[PRETRAINING], temporal=curves[TEMPORAL]
        )

    def _end_trial(self, trial_key: str, error: BaseException | None) -> None:
        """At the end of the driver: whatever still runs will be asked for again."""
        journal = self._journals.get(trial_key)
        if journal is not None and journal.status == RUNNING and self._is_ending:
            records.log_end(journal, KILLED, "interrupted; the same command goes on with it.")
            self._sender.notice(journal)

    def _end_study(self, error: BaseException | None) -> None:
        if journal := self._journals.get("") or self._claim(""):
            records.log_end(journal, FINISHED if error is None else KILLED, "")
            self._hand_over(journal)


def as_study(search: Search) -> Study:
    """A search under the name that its experiment and its folders have, apart from those of studies."""
    return Study(
        name=folder_name(search.name),
        title=search.title,
        question=search.question,
        recipe=search.recipe,
        rows=(Row(name="trials", title="as many as are asked for"),),
    )
