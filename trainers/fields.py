"""Ranges of the numbers in configs: types that name what a number may be, and the check of a config's fields.

`momentum: Momentum = 0.9` says that m lies in [0, 1). A type checker sees a float, a key sees the value alone, and
`Config` checks it when it is made, as the hyperparameters of recipes are that have these types.
"""

import math
import re
import types
import typing
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union

from annotated_types import Interval

Count = Annotated[int, Interval(ge=1, le=10**9)]
CountOrZero = Annotated[int, Interval(ge=0, le=10**9)]
Epochs = Annotated[int, Interval(ge=1, le=10**6)]
BatchSize = Annotated[int, Interval(ge=1, le=2**20)]
Pixels = Annotated[int, Interval(ge=1, le=2**14)]
Layers = Annotated[int, Interval(ge=1, le=1000)]
Channels = Annotated[int, Interval(ge=1, le=2**20)]
Seed = Annotated[int, Interval(ge=-(2**63), le=2**63 - 1)]
Temperature = Annotated[float, Interval(gt=0, le=1e6)]
Momentum = Annotated[float, Interval(ge=0, lt=1)]
LearningRate = Annotated[float, Interval(gt=0, le=1e9)]
Weight = Annotated[float, Interval(ge=0, le=1e9)]
"""Factor of a loss, weight decay, strength of an augmentation."""
Positive = Annotated[float, Interval(gt=0, le=1e6)]
Probability = Annotated[float, Interval(ge=0, le=1)]
Hue = Annotated[float, Interval(ge=0, le=0.5)]
"""Shift of the hue, in turns of the colour circle."""
Share = Annotated[float, Interval(gt=0, le=1)]
"""Part of a whole that is not empty."""
Rate = Annotated[float, Interval(gt=0, le=1e4)]
"""Frames per second."""
Precision = Literal["fp32", "bf16"]
"""Precision of the forward passes of a network, whose parameters are in single precision."""
Kept = Literal["fp32", "fp16"]
"""Type of stored features; they are computed with in single precision, whatever they are stored as."""


@dataclass(frozen=True)
class Form:
    """Form of a text, as part of its annotation: a regular expression, and the same in words."""

    pattern: str
    words: str


Value = TypeVar("Value")
_ADDED = "added"


def added(default: Value) -> Value:
    """A field that a config was given after stages with it had been computed.

    It enters the key only where its value differs from this default, which has to give the numbers that the config gave
    before: what is computed already is then found again.
    """
    return field(default=default, metadata={_ADDED: True})


def is_added(config_field: "Field[Any]") -> bool:
    """Whether a field was declared with `added`."""
    return bool(config_field.metadata.get(_ADDED))


def fault_of(config: object) -> str:
    """The sentence on the first field of a dataclass whose number is out of range; empty where none is."""
    cls: Any = type(config)
    for name, annotation in _annotated_fields(cls):
        fault = fault_of_value(getattr(config, name), annotation)
        if fault:
            return f"{type(config).__name__}.{name} is {getattr(config, name)}: it must be {fault}."
    return ""


def fault_of_value(value: object, annotation: Any) -> str:
    """What a value, or each number in a tuple, must be by its annotation; empty where it is that, or no number."""
    if isinstance(value, tuple):
        annotations = members(annotation, len(value))
        return next((fault for fault in map(fault_of_value, value, annotations) if fault), "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if not is_finite(value):
        return "a finite number"
    ranges = [interval for interval in map(range_of, alternatives(annotation)) if interval is not None]
    return "" if not ranges or any(map(_holds, ranges, [value] * len(ranges))) else in_words(ranges[0])


def range_of(annotation: Any) -> Interval | None:
    """The range that an annotation gives a number; None where it gives none."""
    found = (each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Interval))
    return next(found, None)


def form_of(annotation: Any) -> Form | None:
    """The form that an annotation gives a text; None where it gives none."""
    found = (each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Form))
    return next(found, None)


def has_form(text: object, form: Form | None) -> bool:
    """Whether a value has a form, where there is one."""
    return form is None or (isinstance(text, str) and re.fullmatch(form.pattern, text) is not None)


def in_words(interval: Interval) -> str:
    """A range in words."""
    ends = (("above", interval.gt), ("at least", interval.ge), ("below", interval.lt), ("at most", interval.le))
    return " and ".join(
        f"{word} {f'{end:g}' if isinstance(end, float) else end}" for word, end in ends if end is not None
    )


def _holds(interval: Interval, value: float) -> bool:
    """Whether a finite number is in a range."""
    bounds: Any = interval
    return (
        (bounds.gt is None or value > bounds.gt)
        and (bounds.ge is None or value >= bounds.ge)
        and (bounds.lt is None or value < bounds.lt)
        and (bounds.le is None or value <= bounds.le)
    )


def is_finite(value: float) -> bool:
    """Whether a number is finite, and a whole number no larger than floats are."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@cache
def _annotated_fields(cls: Any) -> tuple[tuple[str, Any], ...]:
    """The fields of a dataclass that may hold numbers, with their annotations."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError:  # a name that only a type checker imports
        hints = {}
    found = ((field.name, hints.get(field.name, Any)) for field in fields(cls))
    return tuple((name, annotation) for name, annotation in found if _may_hold_numbers(annotation))


def _may_hold_numbers(annotation: Any) -> bool:
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation in (int, float, object, tuple, Any)
    return typing.get_origin(annotation) is not tuple or any(map(_may_hold_numbers, typing.get_args(annotation)))


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The annotations that a union joins; one alone where it is no union."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def members(annotation: Any, length: int) -> tuple[Any, ...]:
    """The annotations of the members of a tuple of this length."""
    for each in alternatives(annotation):
        parts = typing.get_args(each) if typing.get_origin(each) is tuple else ()
        if len(parts) == 2 and parts[1] is Ellipsis:
            return (parts[0],) * length
        if len(parts) == length:
            return parts
    return (Any,) * length
