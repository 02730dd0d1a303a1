"""Ranges of the numbers in configs."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from trainers.fields import Epochs, Momentum, Positive, Share, fault_of, fault_of_value
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.stage import Config, InputError


@dataclass(frozen=True, kw_only=True)
class Own(Config):
    """A config as users write them."""

    plain: float = 1.0
    share: Share | None = None
    scales: tuple[Positive, ...] = ()
    pair: tuple[Positive, Share] = (2.0, 1.0)
    name: str = ""
    flag: bool = True


@pytest.mark.parametrize(
    ("value", "annotation", "fault"),
    [
        (0.999, Momentum, ""),
        (1, Momentum, "at least 0 and below 1"),
        (-1e-9, Momentum, "at least 0 and below 1"),
        (200, Epochs, ""),
        (0, Epochs, "at least 1 and at most 1000000"),
        (99_999_999_999, Epochs, "at least 1 and at most 1000000"),
        (math.nan, Momentum, "a finite number"),
        (math.inf, float, "a finite number"),
        (10**400, int, "a finite number"),
        (0.5, Share | None, ""),
        (0, Share | None, "above 0 and at most 1"),
        (None, Share | None, ""),
        ((1.0, 2.0), tuple[Positive, ...], ""),
        ((1.0, 0.0), tuple[Positive, ...], "above 0 and at most 1e+06"),
        ((2.0, 2.0), tuple[Positive, Share], "above 0 and at most 1"),
        ((1.0, math.nan), Any, "a finite number"),
        ("text", Momentum, ""),
        (True, Share, ""),
    ],
)
def test_a_value_is_in_its_range_or_the_range_is_named(value: object, annotation: Any, fault: str):
    assert fault_of_value(value, annotation) == fault


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"plain": math.nan}, "Own.plain is nan: it must be a finite number."),
        ({"share": 2}, "Own.share is 2: it must be above 0 and at most 1."),
        ({"scales": (1.0, -1.0)}, r"Own.scales is \(1.0, -1.0\): it must be above 0 and at most 1e\+06."),
        ({"pair": (1.0, math.inf)}, r"Own.pair is \(1.0, inf\): it must be a finite number."),
    ],
)
def test_a_config_is_checked_when_it_is_made(values: dict[str, Any], sentence: str):
    Own()
    with pytest.raises(InputError, match=sentence):
        Own(**values)


@pytest.mark.parametrize("epochs", [0, -1, 99_999_999_999])
def test_epochs_that_nobody_can_train_are_refused(epochs: int):
    with pytest.raises(InputError, match=f"Optimisation.epochs is {epochs}: it must be at least 1 and at most 1000000"):
        Optimisation(epochs=epochs)


def test_a_key_encoder_that_never_moves_is_refused():
    with pytest.raises(InputError, match=r"MoCo\.momentum is 1: it must be at least 0 and below 1"):
        MoCo(momentum=1)


def test_annotations_that_only_a_type_checker_reads_leave_finite_numbers_alone():
    @dataclass(frozen=True)
    class Unread:
        number: "Nowhere" = 1.0  # type: ignore[name-defined]  # noqa: F821

    assert fault_of(Unread()) == ""
    assert fault_of(Unread(number=math.nan)) == "Unread.number is nan: it must be a finite number."
