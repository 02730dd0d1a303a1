"""Checks of what the author of a search has written: its names, axes and objective."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from study.core.declared import check_parameters, check_type
from study.core.rows import Choice
from study.home.text import nearest
from study.search.domains import Axis, LogUniform, OrNone, PowerOfTwo, Uniform, When, choices_of
from study.search.objective import Objective
from trainers.names import check_line, check_name
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.search.space import Search

DOMAINS = (Uniform, LogUniform, PowerOfTwo, Choice)
STORED = (bool, int, float, str, type(None))
"""Types of the values of choices that Optuna stores."""


def check_search(search: "Search") -> None:
    """Checks everything but what its recipe and the conditions decide.

    Raises:
        InputError: a name is none, or a part has another type than `Search` says.
    """
    check_name(search.name, "a search")
    check_line(search.title, f"search {search.name} (its title)")
    check_type(search.question, str, f"the question of search {search.name}", "text")
    if not isinstance(search.evaluated_in, str):
        found = type(search.evaluated_in).__name__
        raise InputError(f"evaluated_in of search {search.name} is a {found}: it must be the name of a study.")
    _check_axes(search)
    check_objective(search.objective, f"the objective of search {search.name}")
    if search.objective_under is not None:
        _check_function(search.objective_under, f"objective_under of search {search.name}")
    if not (search.initial_point is None or callable(search.initial_point)):
        check_parameters(search.initial_point, f"the initial point of search {search.name}")


def check_objective(objective: object, what: str) -> None:
    """Checks an objective.

    Raises:
        InputError: it is none, or a part of it has another type than `Objective` says.
    """
    check_type(objective, Objective, what, "an Objective(…), such as ON_FOLDS of search_spaces.searches.objectives")
    assert isinstance(objective, Objective), "it was checked"
    check_line(objective.title, f"{what} (its title)")
    check_type(objective.metric, str, f"metric of {what}", "the name of a metric")
    check_type(objective.maximised, bool, f"maximised of {what}", "True or False")
    for name in ("last_stage", "value", "pruning_signal"):
        _check_function(getattr(objective, name), f"{name} of {what}")


def _check_axes(search: "Search") -> None:
    check_parameters(search.axes, f"the axes of search {search.name}")
    if not search.axes:
        raise InputError(f"search {search.name} has nothing to search: give it an axis.")
    earlier: dict[str, Axis] = {}
    for name, axis in search.axes.items():
        _check_axis(axis, f"axis {name} of search {search.name}")
        if isinstance(axis, When):
            _check_condition(axis, name, earlier, search.name)
        earlier[name] = axis


def _check_axis(axis: object, what: str) -> None:
    domain = axis.domain if isinstance(axis, When) else axis
    domain = domain.domain if isinstance(domain, OrNone) else domain
    if not isinstance(domain, DOMAINS):
        kinds = ", ".join(f"{kind.__name__}(…)" for kind in DOMAINS)
        raise InputError(f"{what} is {axis!r}: write one of {kinds}, in OrNone(…) or When(…) where it is optional.")
    values = choices_of(domain)
    for place, value in enumerate(values):
        if not isinstance(value, STORED):
            raise InputError(f"{what} has the value {value!r}: Optuna stores numbers, text, True, False and None.")
        if value in values[:place]:
            raise InputError(f"{what} has the value {value!r} twice: give it once.")


def _check_condition(axis: When, name: str, earlier: Mapping[str, Axis], search: str) -> None:
    """Checks that an earlier axis can have the values of a condition, where it has few."""
    if axis.axis not in earlier:
        raise InputError(f"axis {name} depends on {axis.axis!r}, which no earlier axis of {search} decides.")
    if not axis.values:
        raise InputError(f"axis {name} of search {search} depends on no value of {axis.axis}: name one.")
    valid = choices_of(earlier[axis.axis])
    for value in axis.values if valid else ():
        if value not in valid:
            raise InputError(
                f"axis {name} of search {search} depends on {axis.axis} being {value!r}"
                f"{nearest(str(value), map(str, valid))}"
            )


def _check_function(function: object, what: str) -> None:
    if not callable(function):
        raise InputError(f"{what} is {function!r}: it must be a function.")
