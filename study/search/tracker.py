"""MLflow tracker of a search: a run per search, and below it a run per trial from its beginning."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from study.analysis.results import TrialResult, curve_stages, read_curves, starting_points_of
from study.core.graph import key
from study.core.plan import Plan, make_plan
from study.core.rows import Row
from study.core.store import Store
from study.core.study import Study, Trial
from study.home.searches import folder_name
from study.search.observer import SearchObserver
from study.search.optuna_study import OptunaStudy
from study.search.space import Search
from study.tracking import records
from study.tracking.curves import log_curves, own_stages
from study.tracking.journal import Journal
from study.tracking.run_context import NOTE, RunContext
from study.tracking.status import FAILED, FINISHED, KILLED, RUNNING
from study.tracking.tracker import Tracker
from trainers.stage import FreelunchError

VALUE = "validation/objective"
REPORT_FILES = ("report.html", "search.json")
OPTUNA_STUDY, OPTUNA_TRIAL, STATE = "freelunch.optuna_study", "freelunch.optuna_trial", "freelunch.state"


@dataclass(frozen=True, kw_only=True)
class SearchContext(RunContext):
    """Common tags and parameters of the runs of a search."""

    @property
    def experiment(self) -> dict[str, Any]:
        experiment = super().experiment
        return {**experiment, "tags": {**experiment["tags"], "mlflow.experiment.primaryMetric.name": VALUE}}


class SearchTracker(Tracker, SearchObserver):
    """Logs the trials of a search to MLflow while they are computed.

    Args:
        optuna_study: its trials, each of which is linked to its run.
        context: the search as a study (see `as_study`), and its request.
        store: the artifacts, and the home folder.
        uri: the tracking URI; a database in the home folder where there is none.
    """

    def __init__(self, *, optuna_study: OptunaStudy, context: SearchContext, store: Store, uri: str | None) -> None:
        super().__init__(context=context, trials=(), plan=make_plan((), store), store=store, uri=uri)
        self._optuna_study = optuna_study
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
            journal.set_tags({OPTUNA_STUDY: self._optuna_study.name, OPTUNA_TRIAL: str(trial.number)})
            journal.set_status(RUNNING)
            self._sender.submit(journal)

    def trial_completed(self, trial: Trial, value: float) -> None:
        if journal := self._journals.get(key(trial.stage)):
            journal.log_metrics({VALUE: value}, 0)
            self._conclude_trial(trial, journal, FINISHED, "completed")

    def trial_pruned(self, trial: Trial, epoch: int, value: float) -> None:
        if journal := self._journals.get(key(trial.stage)):
            self._conclude_trial(trial, journal, KILLED, f"stopped early, after epoch {epoch}")

    def trial_failed(self, trial: Trial, problem: str) -> None:
        if journal := self._journals.get(key(trial.stage)):
            self._conclude_trial(trial, journal, FAILED, "failed", problem)

    def take_report(self, folder: Path, summary: str) -> None:
        """Logs the report, with a summary in Markdown as the note of the run."""
        if journal := self._journals.get(""):
            journal.set_tags({NOTE: summary})
            for name in REPORT_FILES:
                journal.log_artifact(folder / name)
            self._sender.submit(journal)

    def _goes_on(self) -> None:
        """Sets the run of the search to running, which an earlier command may have ended."""
        if journal := self._journals.get(""):
            journal.set_status(RUNNING)
            self._sender.submit(journal)

    def _conclude_trial(self, trial: Trial, journal: Journal, status: str, state: str, problem: str = "") -> None:
        try:
            log_curves(journal, self._result(trial), self._store)
        except FreelunchError as damage:
            self._warn(str(damage))
        self._link(trial)
        journal.set_tags({STATE: state})
        records.log_end(journal, status, problem)
        self._sender.submit(journal)

    def _link(self, trial: Trial) -> None:
        """Links a trial in Optuna to its run, if there is one yet."""
        journal = self._journals.get(key(trial.stage))
        run = journal.sent(self._uri).run_id if journal else None
        if run is not None:
            self._optuna_study.note_run(trial.number, run)

    def _result(self, trial: Trial) -> TrialResult:
        curves = {name: read_curves(stage, self._store) for name, stage in curve_stages(trial).items()}
        return TrialResult(trial=trial, scores=None, problem="", curves=curves)

    def _end_trial(self, trial_key: str, error: BaseException | None) -> None:
        """Marks a trial that still runs at the end of the driver as interrupted."""
        journal = self._journals.get(trial_key)
        if journal is not None and journal.status == RUNNING and self._is_ending:
            records.log_end(journal, KILLED, "interrupted; the same command goes on with it.")
            self._sender.submit(journal)

    def _end_study(self, error: BaseException | None) -> None:
        if journal := self._journals.get("") or self._claim(""):
            records.log_end(journal, FINISHED if error is None else KILLED, "")
            self._hand_over(journal)


def as_study(search: Search) -> Study:
    """A search as a study, named like its experiment and its folders."""
    return Study(
        name=folder_name(search.name),
        title=search.title,
        question=search.question,
        recipe=search.recipe,
        rows=(Row(name="trials", title="as many as are asked for"),),
    )
