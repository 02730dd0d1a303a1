"""The first points of a search, which are spread over its space."""

import math

import optuna
import pytest

from study.search.sampling import INCLUDE, NUM_FIRST, distribution, sample
from tests.study.search.stub_search import SEARCH, Conditions

SPACE = SEARCH.bind(Conditions())


def first_points(seed: int) -> list[dict[str, object]]:
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    return [sample(SPACE, study, number, seed, attempt=0) for number in range(NUM_FIRST)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_of_the_first_points_lies_in_another_part_of_every_axis(seed: int):
    points = first_points(seed)
    weights = [math.log(point["weight"] / 0.1) / math.log(100) for point in points]  # type: ignore[operator]
    assert sorted(int(share * NUM_FIRST) for share in weights) == list(range(NUM_FIRST))
    temperatures = [(point["temperature"] - 0.02) / 0.58 for point in points]  # type: ignore[operator]
    assert sorted(int(share * NUM_FIRST) for share in temperatures) == list(range(NUM_FIRST))
    teachers = [point["teacher"] for point in points]
    assert {teachers.count(each) for each in ("none", "head", "all")} <= {2, 3}
    assert sum("own_temperature" in point for point in points) == NUM_FIRST / len(INCLUDE.choices)
    assert {point["queue_size"] for point in points} == {8, 16, 32, 64, 128}


def test_the_first_points_are_the_same_for_a_seed_and_others_for_another():
    assert first_points(0) == first_points(0)
    assert first_points(0) != first_points(1)


def test_a_first_point_that_is_drawn_again_is_another_one():
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    assert sample(SPACE, study, 3, 0, attempt=1) != sample(SPACE, study, 3, 0, attempt=0)


def test_every_first_value_is_one_that_its_axis_takes():
    for point in first_points(5):
        for name, value in point.items():
            values = distribution(SPACE.axes[name], SPACE.unit(name))
            assert values._contains(values.to_internal_repr(value))
