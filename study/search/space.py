"""Search: a recipe, axes over its hyperparameters, and an objective on videos that are not tested."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from study.core.graph import key, walk
from study.core.recipe import Recipe, annotation_of, bind, identity_of
from study.core.rows import Choice, Row
from study.core.study import Trial
from study.core.values import coerced
from study.search.domains import Axis, PowerOfTwo, When, contains, described, domain_of, is_active, is_optional, one
from trainers.stage import InputError, Stage

Parameters = Mapping[str, object]
FIRST_SEED = 0
"""Seed of all trials, and of the command that evaluates the best one, which therefore finds its stages."""


@dataclass(frozen=True, kw_only=True)
class PruningSignal:
    """Stage of a trial whose curve decides about early stopping.

    Example:
        >>> from study import PruningSignal
        >>> from trainers.data.synthetic.generic_images import GenericImages
        >>> PruningSignal(stage=GenericImages(num_images=8, size_px=32), epochs=10).epochs
        10

    Attributes:
        stage: the stage that reports the curve.
        epochs: number of epochs of the stage in a trial that is not stopped.
        first_epoch: no trial is stopped before it.
    """

    stage: Stage
    epochs: int
    first_epoch: int = 1


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Objective of a search, measured on videos that are not tested.

    Example:
        >>> from study import Objective
        >>> loss = Objective(
        ...     title="loss on validation videos",
        ...     last_stage=lambda stage: stage,
        ...     value=lambda folder: float((folder / "loss.txt").read_text()),
        ...     pruning_signal=lambda stage: None,
        ...     metric="loss",
        ...     maximised=False,
        ... )
        >>> loss.maximised
        False

    Attributes:
        title: name of the value, with its unit.
        last_stage: from the last stage of the recipe to the last stage of a trial of the search.
        value: from the artifact of that stage to the value.
        pruning_signal: from that stage to the one that decides about early stopping; None where there is none.
        metric: the metric of the pruning signal.
        maximised: whether larger is better, for value and metric.
    """

    title: str
    last_stage: Callable[[Stage], Stage]
    value: Callable[[Path], float]
    pruning_signal: Callable[[Stage], PruningSignal | None]
    metric: str
    maximised: bool = True


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
        evaluated_in: the study of the same recipe that evaluates the best trial on test videos.
        initial_point: hyperparameters of the first trial, known to be good, from the conditions and what is fixed.
    """

    name: str
    title: str
    question: str
    recipe: Recipe
    axes: Mapping[str, Axis]
    objective: Objective
    evaluated_in: str
    initial_point: Callable[[object, Parameters], Parameters] | None = None
    objective_under: Callable[[object, Parameters], Objective] | None = None

    def bind(self, conditions: object, settings: Mapping[str, object] | None = None) -> "Space":
        """The space of the search under conditions; hyperparameters in `settings` are fixed and not searched.

        Raises:
            InputError: a hyperparameter is unknown, a value does not fit, or nothing is left to search.
        """
        fixed = {name: self._read(name, value) for name, value in (settings or {}).items()}
        for name in self.axes:
            self._check(name)
        axes = {name: axis for name, axis in self.axes.items() if name not in fixed and _is_possible(axis, fixed)}
        if not axes:
            raise InputError(f"search {self.name} has nothing to search: leave at least one of its axes open.")
        objective = self.objective_under(conditions, fixed) if self.objective_under else self.objective
        search = replace(self, objective=objective, objective_under=None)
        return Space(search=search, conditions=conditions, fixed=fixed, axes=axes)

    def described(self) -> dict[str, str]:
        """Every axis in words, without conditions: a unit is the name of its function."""
        return {name: described(axis, _unit_word(axis)) for name, axis in self.axes.items()}

    def _read(self, name: str, value: object) -> object:
        return coerced(name, value, annotation_of(self.recipe, name))

    def _check(self, name: str) -> None:
        annotation_of(self.recipe, name)
        axis = self.axes.get(name)
        domain = domain_of(axis) if axis is not None else None
        for value in domain.values if isinstance(domain, Choice) else ():
            self._read(name, value)
        earlier = list(self.axes)[: list(self.axes).index(name)] if axis is not None else []
        if isinstance(axis, When) and axis.axis not in earlier:
            raise InputError(f"axis {name} depends on {axis.axis!r}, which no earlier axis of {self.name} decides.")


@dataclass(frozen=True, kw_only=True)
class Space:
    """Search space under conditions, which turns points into trials; `search` has the objective of these conditions."""

    search: Search
    conditions: object
    fixed: Parameters
    axes: Mapping[str, Axis]

    def unit(self, name: str) -> int:
        """The unit of an axis; 1 where it has none."""
        domain = domain_of(self.axes[name])
        return domain.unit(self.conditions, self.fixed) if isinstance(domain, PowerOfTwo) else 1

    def trial(self, number: int, parameters: Parameters) -> Trial:
        """The trial at a point.

        Raises:
            InputError: the recipe refuses the point, or its objective would need test videos.
        """
        recipe = self.search.recipe
        values, stage = bind(recipe, self.conditions, FIRST_SEED, {**self.fixed, **parameters})
        final = self.search.objective.last_stage(stage)
        title = ", ".join(f"{name} {value}" for name, value in parameters.items())
        row = Row(name=f"trial {number}", title=title, parameters=dict(parameters))
        return Trial(number=number, row=row, seed=FIRST_SEED, parameters=values, stage=final)

    def initial_point(self) -> Parameters | None:
        """The first point of the search; None where the search names none, or one outside the space."""
        known = self.search.initial_point(self.conditions, self.fixed) if self.search.initial_point else {}
        parameters: dict[str, object] = {}
        for name, axis in self.axes.items():
            if not is_active(axis, {**self.fixed, **parameters}):
                continue
            value = known.get(name)
            if value is not None and contains(axis, value, self.unit(name)):
                parameters[name] = value
            elif value is not None or not is_optional(axis):
                return None
        return parameters

    def extreme_trials(self) -> tuple[Trial, Trial]:
        """Two trials that differ on every axis.

        Raises:
            InputError: as `trial`.
        """
        return self.trial(0, self._corner(0)), self.trial(1, self._corner(1))

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

    def _corner(self, index: int) -> dict[str, object]:
        parameters = dict(self.fixed)
        for name, axis in self.axes.items():
            if is_active(axis, parameters):
                domain = domain_of(axis)
                ends = (domain.values[0], domain.values[-1]) if isinstance(domain, Choice) else None
                parameters[name] = (ends or domain.bounds(self.unit(name)))[index]  # type: ignore[union-attr]
        return {name: value for name, value in parameters.items() if name not in self.fixed}


def _is_possible(axis: Axis, fixed: Parameters) -> bool:
    return not isinstance(axis, When) or axis.axis not in fixed or is_active(axis, fixed)


def _unit_word(axis: Axis) -> int | str:
    """The unit of an axis in words: the name of its function."""
    domain = domain_of(axis)
    return domain.unit.__name__.replace("_", " ") if isinstance(domain, PowerOfTwo) and domain.unit is not one else 1
