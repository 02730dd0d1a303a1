"""A search's memory and its choices: an Optuna study that is asked for points and told what became of them."""

import copy
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import optuna
import sqlalchemy.exc
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from study.core.graph import key
from study.core.recipe import current_identity
from study.core.study import Choice, Trial
from study.home.interrupts import defer_interrupts
from study.search.domains import Axis, LogUniform, PowerOfTwo, Uniform, can_be_left_out, domain_of, exists, rounded
from study.search.pruner import Halving
from study.search.space import Parameters, Space
from trainers.stage import InputError, MachineError

DATABASE = "optuna.db"
IDENTITY = "freelunch.search"
KEY, DRIVER, PARAMETERS, PROBLEM, RUN, DUPLICATE = (
    f"freelunch.{name}" for name in ("trial", "driver", "parameters", "problem", "mlflow_run", "duplicate_of")
)
MAX_ATTEMPTS = 50
"""How often another point is tried where one leads to a trial that is known, before the space counts as used up."""
LOCK_SECONDS = 60
STORAGE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
DIFFERENCES = {
    "recipe": "another recipe",
    "space": "other axes",
    "objective": "another objective",
    "stages": "other data, or another version of its stages",
    "seed": "another seed",
}


COIN = CategoricalDistribution((False, True))


class UsedUpError(Exception):
    """Every point that was tried is a known one."""


class Suggestions:
    """The trials of a search, in an Optuna study that outlives its driver; a context, left with its connections closed.

    No interrupt cuts a method in two: SQLAlchemy would be left in the middle of a transaction.

    The first trial is the point that the search begins at, where it names one. What is asked for next is a function of
    the seed, the number of the trial, and what the trials before it were worth.

    Args:
        name: of the Optuna study.
        space: what is searched.
        seed: of the sampler.
        url: where Optuna keeps it, as SQLAlchemy names databases.
        driver: who asks: trials of others that are still running are left to them.
        halving: which trials are stopped early; None where nothing is watched.

    Attributes:
        url: where Optuna keeps it, without the password.

    Raises:
        InputError: the study of that name is another search's.
        MachineError: the storage cannot be used, be it now or later in the block.
    """

    @defer_interrupts()
    def __init__(
        self, *, name: str, space: Space, seed: int, url: str, driver: str, halving: Halving | None = None
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.name, self.url = name, without_password(url)
        self._space, self._seed, self._driver, self._halving = space, seed, driver, halving
        maximised = space.search.objective.maximised
        self._direction = StudyDirection.MAXIMIZE if maximised else StudyDirection.MINIMIZE
        with storage_explained(url):
            self._storage = storage_at(url)
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
        self._storage.remove_session()
        self._storage.engine.dispose()
        if isinstance(error, STORAGE_ERRORS):
            raise _unusable(self.url, error) from error

    @property
    @defer_interrupts()
    def study(self) -> optuna.Study:
        """The Optuna study as it is now."""
        return optuna.load_study(study_name=self.name, storage=self._storage)

    @defer_interrupts()
    def trials(self) -> list[FrozenTrial]:
        """All trials in their order, but for duplicates."""
        return without_duplicates(self._all_trials())

    @defer_interrupts()
    def left_behind(self) -> list[FrozenTrial]:
        """Trials that this driver was killed or interrupted at, with their parameters as they were."""
        running = [trial for trial in self._all_trials() if trial.state == TrialState.RUNNING]
        return [t for t in running if t.user_attrs.get(DRIVER) == self._driver and not self._set_aside(t)]

    def trial_of(self, frozen: FrozenTrial) -> Trial:
        """Our trial for one of Optuna's."""
        return self._space.trial(frozen.number, parameters_of(frozen))

    @defer_interrupts()
    def ask(self) -> FrozenTrial:
        """A point whose trial nobody has asked for yet, kept as a trial that runs; all of it at once, or nothing.

        Two homes that share a storage may draw one point at the same moment. The lower number has it; the other one is
        set aside as a duplicate, and its home asks again.

        Raises:
            UsedUpError: there seems to be none left.
        """
        while True:
            trial_id = self._storage.create_new_trial(self._study_id, template_trial=self._drawn())
            frozen = self._storage.get_trial(trial_id)
            if not self._set_aside(frozen):
                return frozen

    @defer_interrupts()
    def report(self, number: int, epoch: int, value: float) -> bool:
        """Notes what a trial is worth after an epoch; whether to stop it there. It may be told again."""
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
        self.study.tell(number, value)

    @defer_interrupts()
    def prune(self, number: int) -> None:
        """Takes note that a trial was stopped early; the last value that it had stays its own."""
        self.study.tell(number, state=TrialState.PRUNED)

    @defer_interrupts()
    def fail(self, number: int, problem: str) -> None:
        self._storage.set_trial_user_attr(self._frozen(number)._trial_id, PROBLEM, problem)
        self.study.tell(number, state=TrialState.FAIL)

    @defer_interrupts()
    def note_run(self, number: int, run: str) -> None:
        """Keeps a trial's MLflow run beside it, or beside the study: Optuna leaves a trial that has ended alone."""
        frozen, study = self._frozen(number), self.study
        if not frozen.state.is_finished():
            self._storage.set_trial_user_attr(frozen._trial_id, RUN, run)
        elif runs_of(study).get(number) != run:
            study.set_user_attr(RUN, {**study.user_attrs.get(RUN, {}), str(number): run})

    def _all_trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._all_trials()[number]

    def _drawn(self) -> FrozenTrial:
        """A trial that Optuna has not got yet, at a point that is not known."""
        study = self.study
        trials = study.get_trials(deepcopy=False)
        number = len(trials)
        known = {trial.user_attrs.get(KEY) for trial in trials}
        for attempt in range(MAX_ATTEMPTS):
            first = self._space.first_point() if number == attempt == 0 else None
            parameters = self._sampled(study, number, attempt) if first is None else dict(first)
            trial_key, problem = self._identified(number, parameters)
            if trial_key not in known:
                attributes = {KEY: trial_key, DRIVER: self._driver, PARAMETERS: parameters}
                distributions = self._distributions(parameters)
                return optuna.create_trial(
                    state=TrialState.RUNNING,
                    params=_stored(parameters, distributions),
                    distributions=distributions,
                    user_attrs=attributes | ({PROBLEM: problem} if problem else {}),
                )
        raise UsedUpError

    def _set_aside(self, frozen: FrozenTrial) -> bool:
        """Ends a trial whose point has a lower number already; whether there is one."""
        same = [trial for trial in self._all_trials() if trial.user_attrs.get(KEY) == frozen.user_attrs[KEY]]
        first = same[0].number
        if first == frozen.number:
            return False
        self._storage.set_trial_user_attr(frozen._trial_id, DUPLICATE, first)
        self.fail(frozen.number, f"a duplicate of trial {first}, which another home asked for at the same moment.")
        return True

    def _sampled(self, study: optuna.Study, number: int, attempt: int) -> dict[str, Any]:
        """A point that the sampler draws."""
        seed = _derived_seed(self._seed, number, attempt)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)  # the space depends on the point
        blank = optuna.create_trial(state=TrialState.RUNNING)
        blank.number = number
        parameters: dict[str, Any] = {}
        for name, axis in self._space.axes.items():
            if not exists(axis, {**self._space.fixed, **parameters}):
                continue
            if can_be_left_out(axis) and not sampler.sample_independent(study, blank, switch(name), COIN):
                continue
            unit = self._space.unit(name)
            drawn = sampler.sample_independent(study, blank, name, distribution(axis, unit))
            parameters[name] = _tidy(axis, unit, drawn)
        return parameters

    def _distributions(self, parameters: Parameters) -> dict[str, BaseDistribution]:
        """What each value of a point is drawn from, the tosses of coins among them."""
        distributions: dict[str, BaseDistribution] = {}
        for name, axis in self._space.axes.items():
            if can_be_left_out(axis) and exists(axis, {**self._space.fixed, **parameters}):
                distributions[switch(name)] = COIN
            if name in parameters:
                distributions[name] = distribution(axis, self._space.unit(name))
        return distributions

    def _identified(self, number: int, parameters: Parameters) -> tuple[str, str]:
        """The key of a point's trial; of one that the recipe refuses, something in its place, and why."""
        try:
            return key(self._space.trial(number, parameters).stage), ""
        except MachineError:
            raise
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
            what = " and ".join(DIFFERENCES[name] for name in differing) if theirs else "something else altogether"
            raise InputError(
                f"the Optuna study {self.name!r} in {self.url} searched with {what}: "
                "ask as it was asked then, or name another database with --storage."
            )


def parameters_of(frozen: FrozenTrial) -> dict[str, object]:
    """The hyperparameters of an Optuna trial, without the tosses of coins among its parameters."""
    return dict(frozen.user_attrs[PARAMETERS])


def without_duplicates(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials but for those that were set aside, as another home had asked for the same point."""
    return [trial for trial in trials if DUPLICATE not in trial.user_attrs]


def runs_of(study: optuna.Study) -> dict[int, str]:
    """The MLflow runs of trials, by number."""
    noted = {int(number): run for number, run in study.user_attrs.get(RUN, {}).items()}
    own = {t.number: t.user_attrs[RUN] for t in study.get_trials(deepcopy=False) if RUN in t.user_attrs}
    return noted | own


def switch(name: str) -> str:
    """What Optuna calls the decision whether there is a hyperparameter at all."""
    return f"{name} of its own"


def distribution(axis: Axis, unit: int) -> BaseDistribution:
    """Optuna's word for an axis."""
    match domain_of(axis):
        case Uniform(low, high):
            return FloatDistribution(low, high)
        case LogUniform(low, high):
            return FloatDistribution(low, high, log=True)
        case PowerOfTwo(low, high):
            # Half a power more on both sides, so that the outer ones are as probable as the others.
            return IntDistribution(math.ceil(low * unit / math.sqrt(2)), int(high * unit * math.sqrt(2)), log=True)
        case Choice(values):
            return CategoricalDistribution(values)  # type: ignore[arg-type]


def storage_url(home: Path) -> str:
    """Where a home folder keeps its searches."""
    return f"sqlite:///{home.absolute() / DATABASE}"


def absolute(url: str) -> str:
    """A database's URL that means the same in every directory.

    Raises:
        InputError: it names an SQLite that is no file.
    """
    try:
        location = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # which is told where it is opened
        return url
    if location.get_backend_name() != "sqlite":
        return url
    path = location.database or ":memory:"
    if path == ":memory:" or path.startswith("file:"):
        raise InputError(
            f"--storage {url} names no file by its path, and a search's trials outlive its process: give one, such as "
            "sqlite:////data/searches.db."
        )
    if Path(path).is_absolute():
        return url
    return location.set(database=str(Path(path).absolute())).render_as_string(hide_password=False)


def without_password(url: str) -> str:
    """A database's URL for people to see."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # such as a port that is no number
        shown = re.sub(r":(?!//).*@", ":***@", url)
    return re.sub(r"(?i)(password|passwd|pwd)=[^&]*", r"\1=***", shown)


def _tidy(axis: Axis, unit: int, value: Any) -> Any:
    match domain_of(axis):
        case Uniform() | LogUniform():
            return rounded(value)
        case PowerOfTwo() as domain:
            return domain.nearest(value, unit)
    return value


def _stored(parameters: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """What Optuna keeps: a value for every distribution."""
    switches = {switch(name): name for name in parameters}
    return {name: parameters.get(name, name in switches) for name in distributions}


def _derived_seed(*parts: int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest())


def storage_at(url: str) -> RDBStorage:
    """Optuna's database."""
    arguments = {"connect_args": {"timeout": LOCK_SECONDS}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=arguments)


@contextmanager
def storage_explained(url: str) -> Iterator[None]:
    """Turns what a storage that cannot be used raises into a sentence."""
    try:
        yield
    except (*STORAGE_ERRORS, ImportError, RuntimeError, ValueError) as error:
        raise _unusable(url, error) from error


def _unusable(url: str, error: BaseException) -> MachineError:
    reason = str(error.__cause__ or error).partition("\n")[0].rstrip(".").replace(url, without_password(url))
    return MachineError(
        f"the Optuna storage {without_password(url)} cannot be used ({reason}): check --storage, such as "
        "sqlite:////data/searches.db or postgresql://user@host/searches."
    )
