"""Initial point of a search: what its author names, and whether it is a point of the space."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from study.core.declared import check_type
from study.home.text import nearest
from study.search.domains import DIGITS, Axis, contains, described, is_active, is_optional, rounded
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.search.space import Parameters, Space


def check_initial_point(space: "Space") -> None:
    """Refuses an initial point that is outside the space.

    Raises:
        InputError: it lacks the value of an axis, has one that its axis does not take, or names no axis; or the recipe
            refuses it.
    """
    search = space.search
    if search.initial_point is None:
        return
    known, what = known_point(space), f"the initial point of search {search.name}"
    for name in known:
        if name not in search.axes:
            raise InputError(f"{what} names {name!r}, which is none of its axes{nearest(name, search.axes)}")
    parameters, fault = placed(known, space)
    if fault:
        raise InputError(f"{what} {fault}")
    space.trial(0, parameters)


def known_point(space: "Space") -> "Parameters":
    """What the search names as its initial point under the conditions of its space, wherever it is; empty without one.

    Raises:
        InputError: it is no point.
    """
    point = space.search.initial_point or {}
    if not isinstance(point, Mapping):
        with space.guard():
            point = point(space.conditions, space.fixed)
    check_type(point, Mapping, f"the initial point of search {space.search.name}", "a dictionary from axes to values")
    return point


def placed(known: "Parameters", space: "Space") -> tuple["Parameters", str]:
    """The values that the active axes have at a point, and why it is none of the space; empty where it is one."""
    parameters: dict[str, object] = {}
    for name, axis in space.axes.items():
        value = known.get(name)
        if not is_active(axis, {**space.fixed, **parameters}) or (value is None and is_optional(axis)):
            continue
        if name not in known:
            return {}, f"has no {name}: give it a value of that axis."
        if not contains(axis, value, space.unit(name)):
            return {}, f"has {name} {value!r}, {_fault(value, axis, space.unit(name))}"
        parameters[name] = value
    return parameters, ""


def _fault(value: object, axis: Axis, unit: int) -> str:
    """Why an axis does not take a value."""
    if isinstance(value, float) and contains(axis, rounded(value), unit):
        return f"which has more than {DIGITS} significant digits, to which searched numbers are rounded."
    return f"which its axis does not take: {described(axis, unit)}."
