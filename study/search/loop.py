"""Loop of a search: the next trial, its early stopping, and its result, wherever it is computed."""

import math
import threading
import time
from collections.abc import Mapping

from optuna.trial import FrozenTrial

from study.analysis.results import read_curves
from study.core.graph import key
from study.core.plan import make_plan
from study.core.store import Store
from study.core.tape_marks import TapeMarks
from study.core.tapes import NO_TAPES, TapeChoice
from study.execution.events import Failure
from study.search.observer import RunningTrial, SearchObserver
from study.search.optuna_study import PROBLEM, OptunaStudy, SpaceExhaustedError, parameters_of
from study.search.space import Space
from trainers.stage import InputError, MachineError, Stage

MAX_FAILURES_IN_A_ROW = 3
"""The search ends after this many: the cause may be no hyperparameter, and would fail all further trials."""


class SearchLoop:
    """Loop of a search: begins trials, stops them early, and records their results. Thread-safe.

    Args:
        space: the space that is searched.
        store: the artifacts.
        optuna_study: the search's trials.
        num_trials: number of trials in all, those of earlier runs included.
        seconds: no trial begins later than this; None for no limit.
        observers: are called for every trial.
        tapes: which recordings of frozen networks trials replay.

    Attributes:
        stop_reason: why no further trial begins: a stage that no hyperparameter changes failed, the
            machine is at fault, or several trials failed in a row.
        is_exhausted: whether every point has been tried.
        num_failed: number of trials that failed, each for a reason of its own; they are not repeated.
    """

    def __init__(
        self,
        *,
        space: Space,
        store: Store,
        optuna_study: OptunaStudy,
        num_trials: int,
        seconds: float | None = None,
        observers: tuple[SearchObserver, ...] = (),
        tapes: TapeChoice = NO_TAPES,
    ) -> None:
        self._space, self._store, self._optuna_study = space, store, optuna_study
        self._objective = space.search.objective
        self._num_trials = num_trials
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        self._observers = observers
        self._tapes, self._marks = tapes, TapeMarks(store)
        self._replaying: set[str] = set()
        self._invariant_stages = space.invariant_stages()
        self._unfinished = optuna_study.unfinished()
        self._begun_before = frozenset(frozen.number for frozen in self._unfinished)
        self._open: set[int] = set()
        self._reported: set[tuple[int, int]] = set()
        self._lock = threading.RLock()
        self.stop_reason: str | None = None
        self.is_exhausted = False
        self.num_failed = 0
        self._num_failed_in_a_row = 0

    def has_more(self) -> bool:
        """Whether a further trial would begin now."""
        return bool(self._unfinished) or len(self._optuna_study.trials()) < self._num_trials

    def begin(self) -> RunningTrial | None:
        """The next trial with missing stages; trials whose stages are all finished are completed on the way.

        Returns:
            The trial, or None at the end of the search.
        """
        with self._lock:
            while (frozen := self._next_frozen()) is not None:
                running = self._start(frozen)
                if running is not None:
                    return running
            return None

    def on_report(self, running: RunningTrial, stage: Stage, metrics: Mapping[str, float], epoch: int) -> bool:
        """Records the metrics of an epoch; returns whether the trial is stopped there, which is recorded too."""
        metric = self._objective.metric
        if running.signal is None or key(stage) != key(running.signal.stage) or metric not in metrics:
            return False
        return self._record(running, epoch, metrics[metric])

    def finish(self, running: RunningTrial) -> None:
        """Completes a trial whose last stage is published, or prunes it where its curve says so.

        If the artifact is damaged, the search ends and the trial stays unfinished.
        """
        with self._lock:
            if running.number not in self._open or self._replay_curve(running):
                return
            try:
                value = self._space.value(self._store.check(key(running.trial.stage)))
            except MachineError as error:
                self._stop(running, _blame_machine(str(error)))
                return
            except InputError as error:
                self._fail(running, str(error))
                return
            for observer in self._observers:
                observer.trial_completed(running.trial, value)
            self._optuna_study.complete(running.number, value)
            self._open.discard(running.number)
            self._num_failed_in_a_row = 0

    def fail(self, running: RunningTrial, failure: Failure) -> None:
        """Ends a trial because of a failure, of one of its stages or of something else.

        If every trial needs that stage, or the machine is at fault, the search ends and the trial stays unfinished.
        """
        with self._lock:
            if running.number not in self._open:
                return
            sentence = f"{failure.title} failed: {failure.sentence}" if failure.title else failure.sentence
            if failure.fault == "machine":
                self._stop(running, _blame_machine(sentence))
            elif failure.key in self._invariant_stages:
                self._stop(running, f"all trials need a stage that failed. {sentence}")
            else:
                self._fail(running, sentence)

    def remove_tapes(self) -> None:
        """Removes the tapes of its trials once there are no more of them; stopped trials need none."""
        if not self.has_more():
            self._marks.remove_used(self._replaying)

    def is_open(self, running: RunningTrial) -> bool:
        """Whether a trial has no result yet."""
        return running.number in self._open

    def _next_frozen(self) -> FrozenTrial | None:
        if self.stop_reason or time.monotonic() > self._deadline:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        if len(self._optuna_study.trials()) >= self._num_trials:
            return None
        try:
            return self._optuna_study.ask()
        except SpaceExhaustedError:
            self.is_exhausted = True
            return None

    def _start(self, frozen: FrozenTrial) -> RunningTrial | None:
        """A trial with its plan, or None if nothing of it is missing."""
        try:
            if PROBLEM in frozen.user_attrs:
                raise InputError(frozen.user_attrs[PROBLEM])
            trial = self._optuna_study.trial_of(frozen)
        except InputError as error:
            for observer in self._observers:
                observer.point_refused(frozen.number, parameters_of(frozen), str(error))
            self._optuna_study.fail(frozen.number, str(error))
            self.num_failed += 1
            return None
        plan = make_plan((trial,), self._store, tapes=self._tapes)
        self._marks.mark(plan)
        self._replaying |= {stage_key for stage_key in plan.missing if plan.stages[stage_key].aids()}
        again = frozen.number in self._begun_before
        running = RunningTrial(
            number=frozen.number,
            trial=trial,
            signal=self._space.signal(trial.stage),
            plan=plan,
            again=again,
        )
        self._open.add(running.number)
        for observer in self._observers:
            observer.trial_began(trial, plan, again)
        if not plan.missing:
            self.finish(running)
            return None
        return None if self._replay_curve(running) else running

    def _replay_curve(self, running: RunningTrial) -> bool:
        """Records the curve of a finished stage, epoch by epoch.

        Returns:
            Whether that ended the trial, or the search because the artifact is damaged.
        """
        if running.signal is None:
            return False
        try:
            if self._store.find(key(running.signal.stage)):
                self._store.check(key(running.signal.stage))
        except MachineError as error:
            self._stop(running, _blame_machine(str(error)))
            return True
        curve = read_curves(running.signal.stage, self._store).get(self._objective.metric, {})
        return any(self._record(running, epoch, value) for epoch, value in sorted(curve.items()))

    def _record(self, running: RunningTrial, epoch: int, value: float) -> bool:
        with self._lock:
            if running.number not in self._open:
                return True
            reported = (running.number, epoch)
            if reported in self._reported:  # decided before, among fewer trials
                return False
            self._reported.add(reported)
            if not self._optuna_study.report(running.number, epoch, value):
                return False
            for observer in self._observers:
                observer.trial_pruned(running.trial, epoch, value)
            self._optuna_study.prune(running.number)
            self._open.discard(running.number)
            self._num_failed_in_a_row = 0
            return True

    def _stop(self, running: RunningTrial, reason: str) -> None:
        """Ends the search; the trial stays unfinished, so that the same command continues it."""
        self._open.discard(running.number)
        self.stop_reason = self.stop_reason or reason

    def _fail(self, running: RunningTrial, problem: str) -> None:
        for observer in self._observers:
            observer.trial_failed(running.trial, problem)
        self._optuna_study.fail(running.number, problem)
        self._open.discard(running.number)
        self.num_failed += 1
        self._num_failed_in_a_row += 1
        if self._num_failed_in_a_row >= MAX_FAILURES_IN_A_ROW:
            count = f"{self._num_failed_in_a_row} trials in a row have failed, which are not tried again"
            self.stop_reason = self.stop_reason or f"{count}. The last: {problem}"


def _blame_machine(sentence: str) -> str:
    return f"the machine is at fault, not the hyperparameters. {sentence}"
