"""Records that are stored as JSON: whether what was read has the types that a dataclass declares."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

R = TypeVar("R")
Checker = Callable[[object], bool]
LARGEST = 2**63
"""Whole numbers are smaller."""


def checked(record: R) -> R:
    """A record whose values all have the types of its fields: texts, finite numbers, tuples and mappings of them.

    Raises:
        TypeError: a value is of another type.
    """
    if not is_of(record, type(record)):
        raise TypeError("a field is of another type")
    return record


def is_of(value: object, annotation: Any) -> bool:
    """Whether a value is of a type, with all that it holds."""
    return _checker(annotation)(value)


@cache
def _checker(annotation: Any) -> Checker:
    """The test of a type, made once."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return lambda value: True
    if annotation is float:
        return _is_number
    if annotation is int:
        return lambda value: type(value) is int and abs(value) < LARGEST
    if is_dataclass(annotation):
        hints = get_type_hints(annotation)
        own = [(field.name, _checker(hints[field.name])) for field in fields(annotation)]
        return lambda value: all(holds(getattr(value, name)) for name, holds in own)
    if origin is Literal:
        return lambda value: value in parts
    checkers = [_checker(part) for part in parts if part is not Ellipsis]
    if origin in (Union, UnionType):
        return lambda value: any(holds(value) for holds in checkers)
    if origin is tuple and parts[-1] is Ellipsis:
        return lambda value: isinstance(value, tuple) and all(map(checkers[0], value))
    if origin is tuple:
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(checkers)
            and all(holds(each) for holds, each in zip(checkers, value, strict=True))
        )
    if origin in (Mapping, dict):
        of_name, of_value = checkers
        return lambda value: (
            isinstance(value, dict) and all(of_name(name) and of_value(each) for name, each in value.items())
        )
    return lambda value: type(value) is annotation


def _is_number(value: object) -> bool:
    """Whether a value is a finite number; a whole one may have more digits than any other number."""
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False
