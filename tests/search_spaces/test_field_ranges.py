"""Every number in every config of the studies has a range, and a value outside of it is refused when it is made."""

import math
import typing
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.search_spaces.test_golden_keys import STAGES
from trainers.fields import range_of
from trainers.stage import Config, InputError

NUMBERS = (int, float)


def configs_in(config: Any) -> Iterator[Config]:
    yield config
    for field in fields(config):
        value = getattr(config, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Config):
                yield from configs_in(each)


CONFIGS = {type(each).__name__: each for stage in STAGES.values() for each in configs_in(stage)}


def bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def numbers_of(annotation: Any) -> list[Any]:
    """The annotations of the numbers that a field may hold."""
    if bare(annotation) in NUMBERS:
        return [annotation]
    if typing.get_origin(annotation) is typing.Literal:
        return []
    return [number for member in typing.get_args(annotation) for number in numbers_of(member)]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_number_of_a_config_has_a_range(name: str):
    annotations = typing.get_type_hints(type(CONFIGS[name]), include_extras=True)
    for field in fields(CONFIGS[name]):
        numbers = numbers_of(annotations[field.name])
        assert all(range_of(number) for number in numbers), f"{name}.{field.name}: see trainers/fields.py"


@pytest.mark.parametrize("name", CONFIGS)
def test_numbers_outside_of_it_are_refused_with_the_fields_name(name: str):
    config: Any = CONFIGS[name]
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        if bare(hints[field.name]) in NUMBERS:
            for value in (math.nan, math.inf, -math.inf, 10**400, 1e300, -1e300):
                with pytest.raises(InputError, match=f"{name}.{field.name} is"):
                    replace(config, **{field.name: value})
