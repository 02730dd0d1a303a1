"""A search at work: which trial comes next, what is heard of it, and what becomes of it, wherever it is computed."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from study.analysis.results import read_curves
from study.core.graph import key
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.study import Trial
from study.execution.events import Observer, Observers
from study.execution.executor import Grant
from study.execution.local import run
from study.search.optuna_study import PROBLEM, Suggestions, UsedUpError, parameters_of
from study.search.space import Parameters, Space, Watched
from trainers.stage import InputError, MachineError, Stage

MAX_FAILURES_IN_A_ROW = 3
"""After so many the search ends: what failed them may be no hyperparameter, and would use up all trials."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A trial that is under way.

    Attributes:
        number: its number in the search.
        trial: its parameters and its last stage.
        watched: the stage whose curve may stop it.
        plan: what of it is missing.
        again: whether it was begun before, by a driver that was interrupted.
    """

    number: int
    trial: Trial
    watched: Watched | None
    plan: Plan
    again: bool


class SearchObserver:
    """Hears what becomes of the trials of a search; it does nothing unless told otherwise.

    What became of a trial it hears just before that is kept, so once more if the driver dies in between.
    """

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        """A trial begins; `again` if an interrupted run had begun it."""

    def trial_completed(self, trial: Trial, value: float) -> None:
        """A trial's value is known."""

    def trial_pruned(self, trial: Trial, epoch: int, value: float) -> None:
        """A trial was stopped early, after an epoch with this value on the curve that is watched."""

    def trial_failed(self, trial: Trial, problem: str) -> None:
        """A trial has no value, for a reason of its own."""

    def point_refused(self, number: int, parameters: Parameters, problem: str) -> None:
        """The recipe makes no trial of a point, which is a failed one of that number."""


class Campaign:
    """Decides what a search does next. It may be called from several threads.

    Args:
        space: what is searched.
        store: where artifacts lie.
        suggestions: the search's memory.
        num_trials: how many there shall be in all, those of earlier runs included.
        seconds: after so many no trial begins; None for no such limit.
        observers: hear of the trials.

    Attributes:
        stopped_by: why no trial begins any more, where others would fail too: at a stage that no hyperparameter
            touches, for a fault of the machine, or as the last ones did.
        used_up: whether there is no point left that has not been tried.
        num_failed: how many trials have failed so far, each for a reason of its own; none of them is asked for again.
    """

    def __init__(
        self,
        *,
        space: Space,
        store: Store,
        suggestions: Suggestions,
        num_trials: int,
        seconds: float | None = None,
        observers: tuple[SearchObserver, ...] = (),
    ) -> None:
        self._space, self._store, self._suggestions = space, store, suggestions
        self._objective = space.search.objective
        self._num_trials = num_trials
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        self._observers = observers
        self._untouched = space.untouched()
        self._left_behind = suggestions.left_behind()
        self._begun_before = frozenset(frozen.number for frozen in self._left_behind)
        self._open: set[int] = set()
        self._weighed: set[tuple[int, int]] = set()
        self._lock = threading.RLock()
        self.stopped_by: str | None = None
        self.used_up = False
        self.num_failed = 0
        self._num_failed_in_a_row = 0

    def has_more(self) -> bool:
        """Whether a trial would begin now."""
        return bool(self._left_behind) or len(self._suggestions.trials()) < self._num_trials

    def begin(self) -> Asked | None:
        """The next trial of which something must be computed; what is known already is settled on the way.

        Returns:
            None where there shall be no more.
        """
        with self._lock:
            while (frozen := self._next()) is not None:
                asked = self._opened(frozen)
                if asked is not None:
                    return asked
            return None

    def heard(self, asked: Asked, stage: Stage, metrics: Mapping[str, float], epoch: int) -> bool:
        """Takes what a stage reported at the end of an epoch; whether its trial is to be stopped, which is noted."""
        metric = self._objective.metric
        if asked.watched is None or key(stage) != key(asked.watched.stage) or metric not in metrics:
            return False
        return self._weigh(asked, epoch, metrics[metric])

    def finish(self, asked: Asked) -> None:
        """A trial's last stage is published: its value is known, unless its curve says that it was to be stopped.

        If the artifact is damaged the search ends, and the trial will be asked for again.
        """
        with self._lock:
            if asked.number not in self._open or self._replay(asked):
                return
            try:
                value = self._objective.value(self._store.check(key(asked.trial.stage)))
            except MachineError as error:
                self._stop(asked, _of_the_machine(str(error)))
                return
            except InputError as error:
                self._fail(asked, str(error))
                return
            for observer in self._observers:
                observer.trial_completed(asked.trial, value)
            self._suggestions.complete(asked.number, value)
            self._open.discard(asked.number)
            self._num_failed_in_a_row = 0

    def fail(self, asked: Asked, culprit: str, problem: str, *, machine: bool) -> None:
        """A stage of a trial failed, or, where `culprit` is none, something else about it.

        If every trial needs that stage, or the machine is at fault, the search ends, and the trial will be asked for
        again.
        """
        with self._lock:
            if asked.number not in self._open:
                return
            stage = asked.plan.stages.get(culprit)
            sentence = f"{stage.title} failed: {problem}" if stage else problem
            if machine:
                self._stop(asked, _of_the_machine(sentence))
            elif culprit in self._untouched:
                self._stop(asked, f"all trials need a stage that failed. {sentence}")
            else:
                self._fail(asked, sentence)

    def is_open(self, asked: Asked) -> bool:
        """Whether it is not yet known what becomes of a trial."""
        return asked.number in self._open

    def _next(self) -> FrozenTrial | None:
        if self.stopped_by or time.monotonic() > self._deadline:
            return None
        if self._left_behind:
            return self._left_behind.pop(0)
        if len(self._suggestions.trials()) >= self._num_trials:
            return None
        try:
            return self._suggestions.ask()
        except UsedUpError:
            self.used_up = True
            return None

    def _opened(self, frozen: FrozenTrial) -> Asked | None:
        """A trial with its plan, or None where nothing of it needs to be computed."""
        try:
            if PROBLEM in frozen.user_attrs:
                raise InputError(frozen.user_attrs[PROBLEM])
            trial = self._suggestions.trial_of(frozen)
        except MachineError:
            raise
        except InputError as error:
            for observer in self._observers:
                observer.point_refused(frozen.number, parameters_of(frozen), str(error))
            self._suggestions.fail(frozen.number, str(error))
            self.num_failed += 1
            return None
        plan = make_plan((trial,), self._store)
        again = frozen.number in self._begun_before
        asked = Asked(
            number=frozen.number, trial=trial, watched=self._objective.watched(trial.stage), plan=plan, again=again
        )
        self._open.add(asked.number)
        for observer in self._observers:
            observer.trial_began(trial, plan, again)
        if not plan.missing:
            self.finish(asked)
            return None
        return None if self._replay(asked) else asked

    def _replay(self, asked: Asked) -> bool:
        """Weighs the curve of a watched stage that is finished, epoch by epoch.

        Returns:
            Whether that ends the trial, or the search because the stage's artifact is damaged.
        """
        if asked.watched is None:
            return False
        try:
            if self._store.find(key(asked.watched.stage)):
                self._store.check(key(asked.watched.stage))
        except MachineError as error:
            self._stop(asked, _of_the_machine(str(error)))
            return True
        curve = read_curves(asked.watched.stage, self._store).get(self._objective.metric, {})
        return any(self._weigh(asked, epoch, value) for epoch, value in sorted(curve.items()))

    def _weigh(self, asked: Asked, epoch: int, value: float) -> bool:
        with self._lock:
            if asked.number not in self._open:
                return True
            if (asked.number, epoch) in self._weighed:  # no second judgement, among trials that have come since
                return False
            self._weighed.add((asked.number, epoch))
            if not self._suggestions.report(asked.number, epoch, value):
                return False
            for observer in self._observers:
                observer.trial_pruned(asked.trial, epoch, value)
            self._suggestions.prune(asked.number)
            self._open.discard(asked.number)
            self._num_failed_in_a_row = 0
            return True

    def _stop(self, asked: Asked, reason: str) -> None:
        """Ends the search at a trial that stays as it is, to be asked for again."""
        self._open.discard(asked.number)
        self.stopped_by = self.stopped_by or reason

    def _fail(self, asked: Asked, problem: str) -> None:
        for observer in self._observers:
            observer.trial_failed(asked.trial, problem)
        self._suggestions.fail(asked.number, problem)
        self._open.discard(asked.number)
        self.num_failed += 1
        self._num_failed_in_a_row += 1
        if self._num_failed_in_a_row >= MAX_FAILURES_IN_A_ROW:
            count = f"{self._num_failed_in_a_row} trials in a row have failed, which are not tried again"
            self.stopped_by = self.stopped_by or f"{count}. The last: {problem}"


def _of_the_machine(sentence: str) -> str:
    return f"the machine is at fault, not the hyperparameters. {sentence}"


class TrialStopped(BaseException):
    """Raised through a stage that reports, which may not take it for a failure of its own: it ends its trial early."""


class _Watcher(Observer):
    """Ends a trial that is computed in this process where its curve says so, or cannot be kept."""

    def __init__(self, campaign: Campaign, asked: Asked) -> None:
        self._campaign, self._asked = campaign, asked

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        try:
            is_stopped = self._campaign.heard(self._asked, stage, metrics, epoch)
        except Exception as error:  # no failure of the stage's: the search's storage is away, say
            raise TrialStopped from error
        if is_stopped:
            raise TrialStopped


def search_here(campaign: Campaign, store: Store, grant: Grant, observer: Observer) -> None:
    """Computes a search's trials one after the other in this process, without Ray.

    Raises:
        DiskFullError: there is no space for what is computed; the trial will be asked for again.
    """
    while (asked := campaign.begin()) is not None:
        try:
            outcome = run(asked.plan, store, grant, Observers(observer, _Watcher(campaign, asked)))
        except TrialStopped as stopped:
            if error := stopped.__cause__:
                raise error from error.__cause__
            continue
        culprit = outcome.root_failure(key(asked.trial.stage))
        if culprit is None:
            campaign.finish(asked)
        else:
            failure = outcome.failures[culprit]
            campaign.fail(asked, culprit, failure.sentence, machine=failure.machine)
