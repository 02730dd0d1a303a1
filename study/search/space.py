"""What a search is: a recipe, the axes it goes over, and an objective that no test video can reach."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from study.core.graph import key, walk
from study.core.recipe import Recipe, annotation_of, coerced, identity_of, last_stage, vocabulary
from study.core.study import Choice, Row, Trial
from study.search.domains import Axis, PowerOfTwo, When, can_be_left_out, described, domain_of, exists, holds, one
from trainers.stage import InputError, Stage

Parameters = Mapping[str, object]
FIRST_SEED = 0
"""Of what is drawn in a trial: the command that evaluates the winner asks for it too, and finds its stages."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The stage of a trial whose curve tells early what the trial is worth.

    Attributes:
        stage: that stage.
        epochs: how many it takes in all; a trial that is stopped early is stopped on its way there.
    """

    stage: Stage
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What makes a trial better than another, on validation videos.

    Attributes:
        title: what the value is, its unit included.
        last_stage: from what the recipe returns to the stage that a trial of the search ends in.
        value: of that stage's artifact.
        watched: the stage to watch, or None where there is none to learn from early.
        metric: what of its epochs is watched.
        maximised: whether more is better, of both.
    """

    title: str
    last_stage: Callable[[Stage], Stage]
    value: Callable[[Path], float]
    watched: Callable[[Stage], Watched | None]
    metric: str
    maximised: bool = True


@dataclass(frozen=True, kw_only=True)
class Search:
    """A question to which a grid would be too large an answer.

    Attributes:
        name: what the command line calls it.
        title: one line for lists and headings.
        question: what is asked, in a sentence or two.
        recipe: from hyperparameters to a trial's last stage.
        axes: what it goes over: hyperparameters of the recipe, each conditional one after what it depends on.
        objective: what is made as large, or as small, as can be.
        evaluated_in: the study, with the same recipe, that evaluates the winner on test videos.
        begins_at: from conditions and what was fixed to the first trial's hyperparameters: what is known to be good.
    """

    name: str
    title: str
    question: str
    recipe: Recipe
    axes: Mapping[str, Axis]
    objective: Objective
    evaluated_in: str
    begins_at: Callable[[object, Parameters], Parameters] | None = None

    def under(self, conditions: object, settings: Mapping[str, object] | None = None) -> "Space":
        """The search under conditions, and with what was fixed; what is fixed is not searched.

        Raises:
            InputError: there is no such hyperparameter, a value does not fit, or there is nothing to search.
        """
        fixed = {name: self._read(name, value) for name, value in (settings or {}).items()}
        for name in self.axes:
            self._check(name)
        axes = {name: axis for name, axis in self.axes.items() if name not in fixed and _is_possible(axis, fixed)}
        if not axes:
            raise InputError(f"search {self.name} has nothing to search: leave at least one of its axes open.")
        return Space(search=self, conditions=conditions, fixed=fixed, axes=axes)

    def described(self) -> dict[str, str]:
        """Every axis in words, before conditions decide its unit."""
        return {name: described(axis, _unit_word(axis)) for name, axis in self.axes.items()}

    def _read(self, name: str, value: object) -> object:
        return coerced(name, value, annotation_of(self.recipe, name))

    def _check(self, name: str) -> None:
        annotation_of(self.recipe, name)
        axis = self.axes.get(name)
        earlier = list(self.axes)[: list(self.axes).index(name)] if axis is not None else []
        if isinstance(axis, When) and axis.axis not in earlier:
            raise InputError(f"axis {name} depends on {axis.axis!r}, which no earlier axis of {self.name} decides.")


@dataclass(frozen=True, kw_only=True)
class Space:
    """A search under its conditions: from points to trials."""

    search: Search
    conditions: object
    fixed: Parameters
    axes: Mapping[str, Axis]

    def unit(self, name: str) -> int:
        """What one of an axis is, where it has a unit."""
        domain = domain_of(self.axes[name])
        return domain.unit(self.conditions, self.fixed) if isinstance(domain, PowerOfTwo) else 1

    def trial(self, number: int, parameters: Parameters) -> Trial:
        """The trial at a point.

        Raises:
            InputError: the recipe refuses it, or its objective is not to be had without test videos.
        """
        recipe = self.search.recipe
        values = {name: coerced(name, v, vocabulary(recipe)[name]) for name, v in {**self.fixed, **parameters}.items()}
        final = self.search.objective.last_stage(last_stage(recipe, self.conditions, FIRST_SEED, values))
        title = ", ".join(f"{name} {value}" for name, value in parameters.items())
        row = Row(name=f"trial {number}", title=title, parameters=dict(parameters))
        return Trial(number=number, row=row, seed=FIRST_SEED, parameters=values, stage=final)

    def first_point(self) -> Parameters | None:
        """The point that the search begins at; None where none is known, or it lies outside the space."""
        known = self.search.begins_at(self.conditions, self.fixed) if self.search.begins_at else {}
        parameters: dict[str, object] = {}
        for name, axis in self.axes.items():
            if not exists(axis, {**self.fixed, **parameters}):
                continue
            value = known.get(name)
            if value is not None and holds(axis, value, self.unit(name)):
                parameters[name] = value
            elif value is not None or not can_be_left_out(axis):
                return None
        return parameters

    def corners(self) -> tuple[Trial, Trial]:
        """Two trials that differ on every axis.

        Raises:
            InputError: as `trial`.
        """
        return self.trial(0, self._corner(0)), self.trial(1, self._corner(1))

    def untouched(self) -> frozenset[str]:
        """The keys of the stages that no hyperparameter touches: all trials need them."""
        first, second = (walk(corner.stage) for corner in self.corners())
        return frozenset(first.keys() & second.keys())

    def described(self) -> dict[str, str]:
        """Every axis in words."""
        return {name: described(axis, self.unit(name)) for name, axis in self.axes.items()}

    def identity(self) -> dict[str, str]:
        """What makes this search another one than those of its name: trials of the two are not to be mixed."""
        recipe = self.search.recipe
        return {
            "recipe": identity_of(recipe),
            "space": "; ".join(f"{name}: {text}" for name, text in self.described().items()),
            "objective": self.search.objective.title,
            "stages": key(self.corners()[0].stage),
        }

    def _corner(self, index: int) -> dict[str, object]:
        parameters = dict(self.fixed)
        for name, axis in self.axes.items():
            if exists(axis, parameters):
                domain = domain_of(axis)
                ends = (domain.values[0], domain.values[-1]) if isinstance(domain, Choice) else None
                parameters[name] = (ends or domain.corners(self.unit(name)))[index]  # type: ignore[union-attr]
        return {name: value for name, value in parameters.items() if name not in self.fixed}


def _is_possible(axis: Axis, fixed: Parameters) -> bool:
    return not isinstance(axis, When) or axis.axis not in fixed or exists(axis, fixed)


def _unit_word(axis: Axis) -> int | str:
    """What one of an axis is called after: the function that finds it."""
    domain = domain_of(axis)
    return domain.unit.__name__.replace("_", " ") if isinstance(domain, PowerOfTwo) and domain.unit is not one else 1
