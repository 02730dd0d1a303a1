"""Search: a recipe, axes over its hyperparameters, and an objective on videos that are not tested."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path

from study.core.declared import check_type
from study.core.graph import key, walk
from study.core.recipe import Recipe, annotation_of, bind, identity_of
from study.core.rows import Choice, Row
from study.core.study import Trial
from study.core.values import coerced
from study.search.declared import check_objective, check_search
from study.search.domains import (
    Axis,
    LogUniform,
    PowerOfTwo,
    Uniform,
    When,
    choices_of,
    described,
    domain_of,
    is_active,
    one,
)
from study.search.initial_point import known_point, placed
from study.search.objective import Objective, PruningSignal
from trainers.fields import is_finite
from trainers.stage import InputError, Stage

Parameters = Mapping[str, object]
Guard = Callable[[], AbstractContextManager[None]]
"""Makes contexts in which functions of a search's author are called, to translate what they raise."""
FIRST_SEED = 0
"""Seed of all trials, and of the command that evaluates the best one, which therefore finds its stages."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A hyperparameter search.

    Example:
        >>> from search_spaces.recipes import distilled
        >>> from search_spaces.searches.objectives import ON_VALIDATION
        >>> from study import LogUniform, Search
        >>> search = Search(
        ...     name="weight",
        ...     title="How much should the teacher weigh?",
        ...     question="λ is 5 in the paper.",
        ...     recipe=distilled,
        ...     axes={"distillation_weight": LogUniform(0.1, 50)},
        ...     objective=ON_VALIDATION,
        ...     evaluated_in="table3",
        ... )
        >>> search.described()
        {'distillation_weight': 'from 0.1 to 50, logarithmic'}

    Attributes:
        name: the name on the command line.
        title: one line for lists and headings.
        question: the question in a sentence or two.
        recipe: from hyperparameters to the last stage of a trial.
        axes: the searched hyperparameters of the recipe, each conditional one after the one that it depends on.
        objective: the value that is maximised or minimised.
        objective_under: from the conditions and what is fixed to the objective there, where it is not always the same.
        evaluated_in: name of the study that evaluates the best trial on test videos; one of its rows has that trial.
        initial_point: hyperparameters of the first trial, known to be good, or a function from the conditions and what
            is fixed to them.
    """

    name: str
    title: str
    question: str
    recipe: Recipe
    axes: Mapping[str, Axis]
    objective: Objective
    evaluated_in: str
    initial_point: Parameters | Callable[[object, Parameters], Parameters] | None = None
    objective_under: Callable[[object, Parameters], Objective] | None = None

    def bind(
        self,
        conditions: object,
        settings: Mapping[str, object] | None = None,
        *,
        guard: Guard = nullcontext,
        check: Callable[[Trial], None] | None = None,
    ) -> "Space":
        """The space of the search under conditions.

        Args:
            conditions: preset, scale and dataset; handed to the recipe as they are.
            settings: hyperparameters that are fixed and not searched.
            guard: makes the contexts in which functions of the search's author are called.
            check: refuses a trial by an InputError.

        Raises:
            InputError: a part of the search is not what it should be, a hyperparameter is unknown, a value does not
                fit, or nothing is left to search.
        """
        check_search(self)
        fixed = {name: self._read(name, value) for name, value in (settings or {}).items()}
        for name in self.axes:
            self._check(name)
        axes = {name: axis for name, axis in self.axes.items() if name not in fixed and _is_possible(axis, fixed)}
        if not axes:
            raise InputError(f"search {self.name} has nothing to search: leave at least one of its axes open.")
        objective = self.objective
        if self.objective_under is not None:
            with guard():
                objective = self.objective_under(conditions, fixed)
            check_objective(objective, f"what objective_under of search {self.name} returns")
        search = replace(self, objective=objective, objective_under=None)
        return Space(search=search, conditions=conditions, fixed=fixed, axes=axes, guard=guard, check=check)

    def described(self) -> dict[str, str]:
        """Every axis in words, without conditions: a unit is the name of its function."""
        return {name: described(axis, _unit_word(axis)) for name, axis in self.axes.items()}

    def _read(self, name: str, value: object) -> object:
        return coerced(name, value, annotation_of(self.recipe, name))

    def _check(self, name: str) -> None:
        annotation_of(self.recipe, name)
        axis = self.axes.get(name)
        domain = domain_of(axis) if axis is not None else None
        for value in choices_of(axis) if axis is not None else ():
            self._read(name, value)
        for end in (domain.low, domain.high) if isinstance(domain, Uniform | LogUniform) else ():
            self._read(name, float(end))  # as all drawn values are, so that it is no axis of whole numbers


@dataclass(frozen=True, kw_only=True)
class Space:
    """Search space under conditions, which turns points into trials; `search` has the objective of these conditions."""

    search: Search
    conditions: object
    fixed: Parameters
    axes: Mapping[str, Axis]
    guard: Guard = nullcontext
    check: Callable[[Trial], None] | None = None

    def unit(self, name: str) -> int:
        """The unit of an axis; 1 where it has none.

        Raises:
            InputError: it is no whole number above 0.
        """
        domain = domain_of(self.axes[name])
        if not isinstance(domain, PowerOfTwo):
            return 1
        with self.guard():
            unit = domain.unit(self.conditions, self.fixed)
        if type(unit) is not int or unit < 1:
            raise InputError(
                f"the unit of axis {name} of search {self.search.name} is {unit!r}: it must be a whole number above 0."
            )
        return unit

    def trial(self, number: int, parameters: Parameters) -> Trial:
        """The trial at a point.

        Raises:
            InputError: the recipe refuses the point, or its objective would need test videos.
        """
        recipe, name = self.search.recipe, self.search.name
        with self.guard():
            values, stage = bind(recipe, self.conditions, FIRST_SEED, {**self.fixed, **parameters})
            final = self.search.objective.last_stage(stage)
        check_type(final, Stage, f"what last_stage of the objective of search {name} returns", "a stage")
        title = ", ".join(f"{name} {value}" for name, value in parameters.items())
        row = Row(name=f"trial {number}", title=title, parameters=dict(parameters))
        trial = Trial(number=number, row=row, seed=FIRST_SEED, parameters=values, stage=final)
        if self.check is not None:
            self.check(trial)
        return trial

    def signal(self, last: Stage) -> PruningSignal | None:
        """The stage that decides about early stopping of a trial that ends in a stage; None where there is none."""
        with self.guard():
            signal = self.search.objective.pruning_signal(last)
        if signal is not None:
            what = f"what pruning_signal of the objective of search {self.search.name} returns"
            check_type(signal, PruningSignal, what, "a PruningSignal(…), or None")
        return signal

    def value(self, folder: Path) -> float:
        """The value of a trial, from the artifact of its last stage.

        Raises:
            InputError: it cannot be read, or is no finite number.
        """
        with self.guard():
            value = self.search.objective.value(folder)
        if isinstance(value, bool) or not isinstance(value, Real) or not is_finite(float(value)):
            raise InputError(f"the objective of search {self.search.name} is {value!r}: it must be a finite number.")
        return float(value)

    def initial_point(self) -> Parameters | None:
        """The first point of the search; None where the search names none, or one outside the space."""
        parameters, fault = placed(known_point(self), self)
        return None if fault else parameters

    def extreme_trials(self) -> tuple[Trial, Trial]:
        """Two trials that differ on every axis.

        Raises:
            InputError: as `trial`.
        """
        return self.trial(0, self.corner(0)), self.trial(1, self.corner(1))

    def invariant_stages(self) -> frozenset[str]:
        """The keys of the stages that no hyperparameter changes: all trials need them."""
        first, second = (walk(extreme.stage) for extreme in self.extreme_trials())
        return frozenset(first.keys() & second.keys())

    def described(self) -> dict[str, str]:
        """Every axis in words."""
        return {name: described(axis, self.unit(name)) for name, axis in self.axes.items()}

    def identity(self) -> dict[str, str]:
        """Identity: equal for two searches of one name that share an Optuna study."""
        recipe = self.search.recipe
        return {
            "recipe": identity_of(recipe),
            "space": "; ".join(f"{name}: {text}" for name, text in self.described().items()),
            "objective": self.search.objective.title,
            "stages": key(self.extreme_trials()[0].stage),
        }

    def corner(self, index: int, given: Parameters | None = None) -> Parameters:
        """The point at the low ends of all axes, 0, or at the high ones, 1; `given` has the values of some axes."""
        given, parameters = given or {}, dict(self.fixed)
        for name, axis in self.axes.items():
            if is_active(axis, parameters):
                parameters[name] = given[name] if name in given else self._ends(name)[index]
        return {name: value for name, value in parameters.items() if name not in self.fixed}

    def _ends(self, name: str) -> tuple[object, object]:
        domain = domain_of(self.axes[name])
        return (domain.values[0], domain.values[-1]) if isinstance(domain, Choice) else domain.bounds(self.unit(name))


def _is_possible(axis: Axis, fixed: Parameters) -> bool:
    return not isinstance(axis, When) or axis.axis not in fixed or is_active(axis, fixed)


def _unit_word(axis: Axis) -> int | str:
    """The unit of an axis in words: the name of its function."""
    domain = domain_of(axis)
    return domain.unit.__name__.replace("_", " ") if isinstance(domain, PowerOfTwo) and domain.unit is not one else 1
