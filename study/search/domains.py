"""Domains of hyperparameters: ranges, powers of two and choices, optional or conditional on another one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.core.rows import Choice
from trainers.fields import is_finite
from trainers.stage import InputError

DIGITS = 4
"""Significant digits of searched numbers, so that a printed command gives the same stages."""


def one(conditions: object, settings: Mapping[str, object]) -> int:
    """The unit of a domain that has no other: 1."""
    return 1


@dataclass(frozen=True)
class Uniform:
    """Any number from `low` to `high`.

    Example:
        >>> from study import Uniform
        >>> Uniform(0, 0.9)
        Uniform(low=0, high=0.9)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high)

    def bounds(self, unit: int) -> tuple[object, object]:
        """The lowest and the highest value."""
        return self.low, self.high


@dataclass(frozen=True)
class LogUniform:
    """Any number from `low` to `high`, uniform in its logarithm.

    Example:
        >>> from study import LogUniform
        >>> LogUniform(0.1, 50)
        LogUniform(low=0.1, high=50)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high)
        if self.low <= 0:
            raise InputError(f"{self} begins at {self.low}: a logarithmic range begins above 0.")

    def bounds(self, unit: int) -> tuple[object, object]:
        """The lowest and the highest value."""
        return self.low, self.high


@dataclass(frozen=True)
class PowerOfTwo:
    """Powers of two from `low` to `high`, times a unit that depends on conditions and settings.

    Example:
        >>> from study import PowerOfTwo
        >>> PowerOfTwo(1, 64).nearest(100, unit=32)  # 1 to 64 batches of 32 frames
        128

    Attributes:
        low: the smallest, a power of two.
        high: the largest, a power of two.
        unit: from conditions and settings to the unit, such as the batch size.
    """

    low: int
    high: int
    unit: Callable[[object, Mapping[str, object]], int] = one

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high, int)
        for end in (self.low, self.high):
            if end < 1 or end & (end - 1):
                raise InputError(f"{end} is not a power of two: PowerOfTwo takes 1, 2, 4, 8 and so on.")

    def __repr__(self) -> str:
        return f"PowerOfTwo({self.low}, {self.high})"

    def bounds(self, unit: int) -> tuple[object, object]:
        """The lowest and the highest value."""
        return self.low * unit, self.high * unit

    def nearest(self, value: float, unit: int) -> int:
        """The power of two, times the unit, that is nearest in its logarithm."""
        power = round(2.0 ** round(math.log2(value / unit)))
        return unit * min(max(power, self.low), self.high)


Domain = Uniform | LogUniform | PowerOfTwo | Choice


@dataclass(frozen=True)
class OrNone:
    """An optional hyperparameter: a Boolean of its own decides whether it is set.

    Example:
        >>> from study import LogUniform, OrNone
        >>> OrNone(LogUniform(0.02, 0.5))
        OrNone(domain=LogUniform(low=0.02, high=0.5))
    """

    domain: Domain


@dataclass(frozen=True)
class When:
    """A conditional hyperparameter: active only where an earlier axis has one of `values`.

    Example:
        >>> from study import PowerOfTwo, When
        >>> When("teacher_trains", ("head", "all"), PowerOfTwo(1, 4)).domain
        PowerOfTwo(1, 4)
    """

    axis: str
    values: tuple[object, ...]
    domain: Domain | OrNone

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple | list):
            raise InputError(f"When({self.axis!r}, …) needs its values in brackets: ({self.values!r},), say.")


Axis = Domain | OrNone | When


def domain_of(axis: Axis) -> Domain:
    """The domain of an axis, where it is active and set."""
    if isinstance(axis, When | OrNone):
        return domain_of(axis.domain)
    return axis


def choices_of(axis: Axis) -> Sequence[object]:
    """The values of an axis that is a choice; none of another one."""
    domain = domain_of(axis)
    return domain.values if isinstance(domain, Choice) else ()


def is_optional(axis: Axis) -> bool:
    """Whether a hyperparameter may be left out where its axis is active."""
    return isinstance(axis.domain if isinstance(axis, When) else axis, OrNone)


def is_active(axis: Axis, parameters: Mapping[str, object]) -> bool:
    """Whether an axis is active, given the values of the earlier ones."""
    return not isinstance(axis, When) or parameters.get(axis.axis) in axis.values


def contains(axis: Axis, value: object, unit: int) -> bool:
    """Whether an axis may have a value."""
    match domain_of(axis):
        case Uniform(low, high) | LogUniform(low, high):
            return isinstance(value, int | float) and low <= value <= high and rounded(value) == value
        case PowerOfTwo() as domain:
            return isinstance(value, int) and value > 0 and domain.nearest(value, unit) == value
        case Choice(values):
            return value in values


def rounded(value: float) -> float:
    """A number rounded to the digits of a search."""
    return float(f"{value:.{DIGITS}g}")


def described(axis: Axis, unit: int | str) -> str:
    """An axis in words, for lists and for the identity of a space; a unit that is not known yet is a word."""
    match axis:
        case When(condition, values, domain):
            return f"{described(domain, unit)}, where {condition} is {' or '.join(map(str, values))}"
        case OrNone(domain):
            return f"none, or {described(domain, unit)}"
        case LogUniform(low, high):
            return f"from {low:g} to {high:g}, logarithmic"
        case Uniform(low, high):
            return f"from {low:g} to {high:g}"
        case PowerOfTwo(low, high):
            return f"powers of two from {low} to {high}" + (f", times {unit}" if unit != 1 else "")
        case Choice(values):
            return ", ".join(map(str, values))


def _check_range(domain: object, low: object, high: object, *kinds: type) -> None:
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, kinds or (int, float)):
            raise InputError(f"{domain}: {end!r} is no number of the kind that it takes.")
    assert isinstance(low, int | float), "it was checked"
    assert isinstance(high, int | float), "it was checked"
    if not (is_finite(low) and is_finite(high) and low < high):
        raise InputError(f"{domain} has no values: its second number must be the larger one.")
    for end in (low, high):
        if rounded(end) != end:
            raise InputError(
                f"{domain}: {end} has more than {DIGITS} significant digits, to which searched numbers are rounded."
            )
