"""Optuna study of a search: its trials, and the points that its sampler draws."""

import copy
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.core.graph import key
from study.core.recipe import current_identity
from study.core.study import Trial
from study.home.interrupts import defer_interrupts
from study.search.pruner import SuccessiveHalving
from study.search.sampling import as_optuna_trial, sample
from study.search.space import Parameters, Space
from study.search.storage import (
    STORAGE_ERRORS,
    close_storage,
    open_storage,
    storage_error,
    translate_storage_errors,
    without_password,
)
from trainers.stage import InputError

IDENTITY = "freelunch.search"
KEY, DRIVER, PARAMETERS, PROBLEM, RUN, DUPLICATE = (
    f"freelunch.{name}" for name in ("trial", "driver", "parameters", "problem", "mlflow_run", "duplicate_of")
)
MAX_ATTEMPTS = 50
"""Points that are drawn for one trial, as long as each leads to a known trial; then the space counts as exhausted."""
DIFFERENCES = {
    "recipe": "another recipe",
    "space": "other axes",
    "objective": "another objective",
    "stages": "other data, or another version of its stages",
    "seed": "another seed",
}


class SpaceExhaustedError(Exception):
    """Every point that was drawn belongs to a known trial."""


class OptunaStudy:
    """Trials of a search in Optuna's storage, which outlives the driver; a context manager that closes the connections.

    Interrupts are deferred to the end of a method: SQLAlchemy would be left in the middle of a transaction.

    The first trial is the initial point of the search, where it has one. Every further point is a function of the seed,
    the number of the trial, and the values of the trials before it.

    Args:
        name: of the Optuna study.
        space: the space that is searched.
        seed: of the sampler.
        url: of the storage, as SQLAlchemy names databases; `journal:` and a path is one of Optuna's journals.
        driver: identifies this home; running trials of other drivers are left to them.
        halving: the pruner; None where no curve is observed.

    Attributes:
        url: of the storage, without the password.

    Raises:
        InputError: the study of that name belongs to another search.
        MachineError: the storage cannot be used, now or later in the block.
    """

    @defer_interrupts()
    def __init__(
        self, *, name: str, space: Space, seed: int, url: str, driver: str, halving: SuccessiveHalving | None = None
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.name, self.url = name, without_password(url)
        self._space, self._seed, self._driver, self._halving = space, seed, driver, halving
        maximised = space.search.objective.maximised
        self._direction = StudyDirection.MAXIMIZE if maximised else StudyDirection.MINIMIZE
        with translate_storage_errors(url):
            self._storage = open_storage(url)
            study = optuna.create_study(
                study_name=name, storage=self._storage, load_if_exists=True, direction=self._direction
            )
            self._check_identity(study)
            self._study_id = self._storage.get_study_id_from_name(name)

    def __enter__(self) -> Self:
        return self

    @defer_interrupts()
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_storage(self._storage)
        if isinstance(error, STORAGE_ERRORS):
            raise storage_error(self.url, error) from error

    @property
    @defer_interrupts()
    def study(self) -> optuna.Study:
        """The Optuna study as it is now."""
        return optuna.load_study(study_name=self.name, storage=self._storage)

    @defer_interrupts()
    def trials(self) -> list[FrozenTrial]:
        """All trials by number, without duplicates."""
        return without_duplicates(self._all_trials())

    @defer_interrupts()
    def unfinished(self) -> list[FrozenTrial]:
        """Running trials of this driver, which was killed or interrupted while it computed them."""
        running = [trial for trial in self._all_trials() if trial.state == TrialState.RUNNING]
        return [t for t in running if t.user_attrs.get(DRIVER) == self._driver and not self._is_duplicate(t)]

    def trial_of(self, frozen: FrozenTrial) -> Trial:
        """The trial of the study for a trial of Optuna."""
        return self._space.trial(frozen.number, parameters_of(frozen))

    @defer_interrupts()
    def ask(self) -> FrozenTrial:
        """Draws a point of an unknown trial and stores it as a running trial, in one transaction.

        Two homes that share a storage may draw one point at the same moment. Then the lower number is the trial, the
        other one is marked as a duplicate, and its home draws again.

        Raises:
            SpaceExhaustedError: there seems to be no point left.
        """
        while True:
            trial_id = self._storage.create_new_trial(self._study_id, template_trial=self._new_trial())
            frozen = self._storage.get_trial(trial_id)
            if not self._is_duplicate(frozen):
                return frozen

    @defer_interrupts()
    def report(self, number: int, epoch: int, value: float) -> bool:
        """Stores the value of a trial after an epoch; returns whether to stop it there. Repeated calls agree."""
        trials = self._all_trials()
        frozen = trials[number]
        if epoch not in frozen.intermediate_values:
            self._storage.set_trial_intermediate_value(frozen._trial_id, epoch, value)
        if self._halving is None:
            return False
        so_far = copy.copy(frozen)
        known = {**frozen.intermediate_values, epoch: frozen.intermediate_values.get(epoch, value)}
        so_far.intermediate_values = {past: worth for past, worth in known.items() if past <= epoch}
        return self._halving.stops(so_far, trials, self._direction)

    @defer_interrupts()
    def complete(self, number: int, value: float) -> None:
        """Marks a trial as completed, with its value."""
        self.study.tell(number, value)

    @defer_interrupts()
    def prune(self, number: int) -> None:
        """Marks a trial as stopped early; its value is the last one that was reported."""
        self.study.tell(number, state=TrialState.PRUNED)

    @defer_interrupts()
    def fail(self, number: int, problem: str) -> None:
        """Marks a trial as failed, and keeps why."""
        self._storage.set_trial_user_attr(self._frozen(number)._trial_id, PROBLEM, problem)
        self.study.tell(number, state=TrialState.FAIL)

    @defer_interrupts()
    def note_run(self, number: int, run: str) -> None:
        """Links a trial to its MLflow run; for an ended one in an attribute of the study, as Optuna requires."""
        frozen, study = self._frozen(number), self.study
        if not frozen.state.is_finished():
            self._storage.set_trial_user_attr(frozen._trial_id, RUN, run)
        elif runs_of(study).get(number) != run:
            study.set_user_attr(RUN, {**study.user_attrs.get(RUN, {}), str(number): run})

    def _all_trials(self) -> list[FrozenTrial]:
        """All trials by number, duplicates among them."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._all_trials()[number]

    def _new_trial(self) -> FrozenTrial:
        """A trial at a new point, which is not in the storage yet."""
        study = self.study
        trials = study.get_trials(deepcopy=False)
        number = len(trials)
        known = {trial.user_attrs.get(KEY) for trial in trials}
        for attempt in range(MAX_ATTEMPTS):
            first = self._space.initial_point() if number == attempt == 0 else None
            parameters = sample(self._space, study, number, self._seed, attempt) if first is None else dict(first)
            trial_key, problem = self._key_of(number, parameters)
            if trial_key not in known:
                attributes = {KEY: trial_key, DRIVER: self._driver, PARAMETERS: parameters}
                attributes |= {PROBLEM: problem} if problem else {}
                return as_optuna_trial(self._space, parameters, attributes)
        raise SpaceExhaustedError

    def _is_duplicate(self, frozen: FrozenTrial) -> bool:
        """Marks a trial as a duplicate if one of a lower number has the same key; returns whether that is so."""
        same = [trial for trial in self._all_trials() if trial.user_attrs.get(KEY) == frozen.user_attrs[KEY]]
        first = same[0].number
        if first == frozen.number:
            return False
        self._storage.set_trial_user_attr(frozen._trial_id, DUPLICATE, first)
        self.fail(frozen.number, f"a duplicate of trial {first}, which another home asked for at the same moment.")
        return True

    def _key_of(self, number: int, parameters: Parameters) -> tuple[str, str]:
        """The key of a point's trial; where the recipe refuses the point, a substitute and the reason."""
        try:
            return key(self._space.trial(number, parameters).stage), ""
        except InputError as error:
            return json.dumps(parameters, sort_keys=True), str(error)

    def _check_identity(self, study: optuna.Study) -> None:
        ours = {**self._space.identity(), "seed": str(self._seed)}
        theirs = study.user_attrs.get(IDENTITY)
        if theirs is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(IDENTITY, ours)
            return
        if isinstance(theirs, dict) and "recipe" in theirs:
            theirs = {**theirs, "recipe": current_identity(theirs["recipe"])}
        if theirs != ours:
            differing = [name for name in ours if not isinstance(theirs, dict) or theirs.get(name) != ours[name]]
            if "objective" in differing:  # other stages follow from it
                differing = [name for name in differing if name != "stages"]
            what = " and ".join(DIFFERENCES[name] for name in differing) if theirs else "something else altogether"
            raise InputError(
                f"the Optuna study {self.name!r} in {self.url} searched with {what}: "
                "ask as it was asked then, or name another database with --storage."
            )


def parameters_of(frozen: FrozenTrial) -> dict[str, object]:
    """The hyperparameters of an Optuna trial, without the inclusion flags among its parameters."""
    return dict(frozen.user_attrs[PARAMETERS])


def without_duplicates(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials without duplicates, points that another home had drawn at the same moment."""
    return [trial for trial in trials if DUPLICATE not in trial.user_attrs]


def runs_of(study: optuna.Study) -> dict[int, str]:
    """The MLflow runs of trials, by number."""
    noted = {int(number): run for number, run in study.user_attrs.get(RUN, {}).items()}
    own = {t.number: t.user_attrs[RUN] for t in study.get_trials(deepcopy=False) if RUN in t.user_attrs}
    return noted | own
