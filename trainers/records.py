"""Records that are stored as JSON: whether what was read has the types that a dataclass declares."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

R = TypeVar("R")
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
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True
    if annotation is float:
        return _is_number(value)
    if annotation is int:
        return type(value) is int and abs(value) < LARGEST
    if is_dataclass(annotation):
        hints = get_type_hints(annotation)
        return all(is_of(getattr(value, field.name), hints[field.name]) for field in fields(annotation))
    if origin in (Union, UnionType):
        return any(is_of(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        kinds = (parts[0],) * len(value) if parts[-1] is Ellipsis and isinstance(value, tuple) else parts
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(is_of, value, kinds))
    if origin in (Mapping, dict):
        items = value.items() if isinstance(value, dict) else [(None, None)]
        return all(is_of(name, parts[0]) and is_of(each, parts[1]) for name, each in items)
    return type(value) is annotation


def _is_number(value: object) -> bool:
    """Whether a value is a finite number; a whole one may have more digits than any other number."""
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False
