"""Tracker of a study in MLflow: one experiment, a run per request, a run per trial below it.

The driver writes journals, and a thread sends them: a server that is slow or away never delays a study, and what it has
missed is sent later.
"""

import logging
import resource
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from study.analysis.results import read_trial, starting_points_of
from study.core.graph import key
from study.core.plan import Plan
from study.core.store import Store
from study.core.study import Trial
from study.execution.events import Failure, Observer
from study.home.commands import expand_commands
from study.tracking import records
from study.tracking.connection import Connection, Outage
from study.tracking.curves import log_curves, own_stages, points_of
from study.tracking.handed_over import HandedOver, is_left, take_over
from study.tracking.journal import JOURNAL, Journal, spool_folder
from study.tracking.leftovers import LeftoverClaims, leftovers
from study.tracking.run_context import RunContext
from study.tracking.sender import Sender
from study.tracking.status import FINISHED, RUNNING, ending
from study.tracking.uri import checked_uri
from trainers.stage import FreelunchError, Progress, Stage

PATIENCE_SECONDS, INTERRUPTED_PATIENCE_SECONDS = 20.0, 5.0
"""Seconds that the end of a study waits for an MLflow that takes nothing; the second where it never answered, too."""
OPEN_FILES_BESIDE = 256
_log = logging.getLogger(__name__)


class Tracker(Observer):
    """Logs a study's trials to MLflow while they are computed.

    Used as a context; inside it, `conclude` follows the report.

    Args:
        context: the study and its request; other settings are another run of the study.
        trials: the study's trials; those with equal final stages share one run.
        plan: their stages.
        store: their artifacts, and the home folder, whose journals are sent.
        uri: the tracking URI; a database in the home folder where there is none.
        is_alone: whether no other tracker of this process is still to open its runs; it then sends what earlier
            commands could not send, too.
        outage: what the other trackers of this process know of an MLflow that is away.

    Raises:
        InputError: the URI names a folder, or another study's experiment has this study's name.
        MachineError: MLflow does not answer, and this home has no journal of this study yet.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        trials: Sequence[Trial],
        plan: Plan,
        store: Store,
        uri: str | None,
        is_alone: bool = True,
        outage: Outage | None = None,
    ) -> None:
        self._context = context
        self._home = store.home
        self._uri = checked_uri(store.home, uri)
        self._store = store
        self._plan = plan
        self._is_alone = is_alone
        self._outage = outage or Outage()
        self._connection = Connection(self._home, self._uri, self._outage)
        self._trials = {key(trial.stage): trial for trial in reversed(trials)}  # the first of equal ones
        self._numbers = {trial.number: key(trial.stage) for trial in trials}
        self._starting_points = starting_points_of(trials)
        self._own = own_stages(self._trials, self._starting_points)
        self._problems: dict[str, str] = {}
        self._speeds: dict[str, Mapping[str, float]] = {}
        self._journals: dict[str, Journal] = {}
        self._leftovers = LeftoverClaims()
        self._handed_over = HandedOver()

    def __enter__(self) -> Self:
        self._connection.open(self._context, is_required=not (self._folder("") / JOURNAL).exists())
        self._sender = Sender(self._connection.send)
        try:
            _allow_open_files(len(self._trials))
            self._open_study()
            for trial_key in self._trials:
                self._open_trial(trial_key)
            for folder in leftovers(self._home, self._uri) if self._is_alone else ():
                self._sender.submit_once(partial(self._leftovers.send, folder, self._connection.send))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handed_over.close()
        try:
            for trial_key in self._trials:
                if trial_key not in self._journals:  # another driver held it, and may have ended
                    self._open_trial(trial_key)
                self._end_trial(trial_key, error)
                self._take_over(trial_key)
            self._end_study(error)
            self._name_runs_elsewhere()
            if not self._sender.finish(self._patience_seconds(error)):
                self._outage.is_given_up = True
                self._warn(self._what_is_left())
        finally:
            self._close()
        self._take_late_points(error)

    def on_progress(self, stage: Stage, progress: Progress) -> None:
        self._speeds[key(stage)] = progress.speed()

    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None:
        speed = self._speeds.get(key(stage), {})
        points = points_of(stage, {**metrics, **speed})
        for trial_key in self._own.get(key(stage), ()):
            if journal := self._journals.get(trial_key):
                journal.log_metrics(points, number)
                self._sender.submit(journal)
            else:
                self._handed_over.add(self._folder(trial_key), points, number)

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self.on_found(stage)

    def on_found(self, stage: Stage) -> None:
        if key(stage) in self._trials:
            self._end_trial(key(stage), None)

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self._problems[key(stage)] = failure.sentence

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        self._problems[key(stage)] = f"blocked by {failure.title}: {failure.sentence}"

    def conclude(self, report_folder: Path, problems: Mapping[int, str]) -> None:
        """Logs the report, and why trials have no result, a sentence by their number."""
        self._problems |= {self._numbers[number]: sentence for number, sentence in problems.items()}
        if journal := self._journals.get(""):
            records.log_report(journal, self._context, report_folder)
            self._sender.submit(journal)

    def _warn(self, sentence: str) -> None:
        _log.warning("%s", expand_commands(sentence, self._home))

    def _folder(self, trial_key: str) -> Path:
        return spool_folder(self._home) / self._context.study.name / self._context.id / (trial_key or "study")

    def _claim(self, trial_key: str) -> Journal | None:
        journal = self._leftovers.claim(self._folder(trial_key))
        if journal is not None:
            self._journals[trial_key] = journal
        return journal

    def _open_study(self) -> None:
        if journal := self._claim(""):
            records.log_study(journal, self._context)
            if self._plan.missing or not journal.status:
                journal.set_status(RUNNING)
            self._hand_over(journal)

    def _open_trial(self, trial_key: str) -> None:
        if journal := self._claim(trial_key):
            records.log_trial(journal, self._context, self._trials[trial_key])
            if self._store.find(trial_key) is None:
                journal.set_status(RUNNING)
            else:
                self._end_trial(trial_key, None)
            self._hand_over(journal)

    def _hand_over(self, journal: Journal) -> None:
        journal.mark_sent(self._uri)
        self._sender.submit(journal)

    def _end_trial(self, trial_key: str, error: BaseException | None) -> None:
        """Logs the results of a trial, and how it ended."""
        journal = self._journals.get(trial_key)
        if journal is None or journal.status == FINISHED:
            return
        is_scored = False
        take_over(journal)
        try:
            result = read_trial(self._trials[trial_key], self._store, {}, self._starting_points)
            log_curves(journal, result, self._store)
            if result.scores is not None:
                records.log_scores(journal, result, self._store)
                is_scored = True
        except FreelunchError as damage:
            self._problems[trial_key] = str(damage)
        problem = "" if is_scored else self._problems.get(trial_key, "")
        records.log_end(journal, *ending(is_scored, problem, error))
        self._sender.submit(journal)

    def _take_over(self, trial_key: str) -> None:
        """Logs the points that another driver saw of a trial that has ended here."""
        if journal := self._journals.get(trial_key):
            _log_handed_over(journal)
            self._sender.submit(journal)

    def _take_late_points(self, error: BaseException | None) -> None:
        """Logs what other drivers handed over after the last look, before the journals were released."""
        while folders := [folder for folder in map(self._folder, self._trials) if is_left(folder)]:
            journals = [journal for folder in folders if (journal := Journal.claim(folder)) is not None]
            if not journals:  # whoever holds them looks once more, too
                return
            sender = Sender(self._connection.send)
            try:
                for journal in journals:
                    _log_handed_over(journal)
                    sender.submit(journal)
                sender.finish(self._patience_seconds(error))
            finally:
                sender.stop()
                for journal in journals:
                    journal.close()

    def _patience_seconds(self, error: BaseException | None) -> float:
        """Seconds that the end of a study waits for an MLflow that takes nothing."""
        if self._outage.is_given_up:
            return 0.0
        return PATIENCE_SECONDS if error is None and self._connection.is_open else INTERRUPTED_PATIENCE_SECONDS

    def _end_study(self, error: BaseException | None) -> None:
        journal = self._journals.get("") or self._claim("")
        if journal is None:
            return
        missing = [trial_key for trial_key in self._trials if self._store.find(trial_key) is None]
        failed = [trial_key for trial_key in missing if self._problems.get(trial_key)]
        problem = f"{len(missing)} of {len(self._trials)} trials have none." if failed else ""
        records.log_end(journal, *ending(not missing, problem, error))
        self._hand_over(journal)

    def _close(self) -> None:
        self._sender.stop()
        self._leftovers.release()
        self._handed_over.close()
        for journal in self._journals.values():
            journal.close()

    def _name_runs_elsewhere(self) -> None:
        keys = ("", *self._trials)
        if elsewhere := [trial_key for trial_key in keys if trial_key not in self._journals]:
            self._warn(
                f"{len(elsewhere)} of {len(keys)} runs of {self._context.study.name} are kept in MLflow by another "
                "freelunch command; where they lack anything after it, give this one again."
            )

    def _what_is_left(self) -> str:
        count = sum(journal.num_unsent(self._uri) for journal in self._journals.values())
        return (
            f"{self._sender.fault or 'MLflow is slow'}; {count} entries are kept in {spool_folder(self._home)} and are "
            "sent by the next `freelunch run` or `freelunch ui` of this home."
        )


def _log_handed_over(journal: Journal) -> None:
    """Logs the points that another driver saw of a trial that has ended here."""
    take_over(journal)
    if journal.status:
        journal.set_status(journal.status)


def _allow_open_files(num_journals: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = num_journals + OPEN_FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
