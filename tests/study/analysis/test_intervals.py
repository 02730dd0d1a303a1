"""The interval of a mean: Student's, Hall's where values are skewed, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from study.analysis.intervals import mean_interval

POINTS = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 6))


def test_of_symmetric_values_the_interval_is_students():
    values = np.array([-3.0, -1.0, -0.5, 0.5, 1.0, 3.0]) + 2
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((expected.low, expected.high))


def test_on_the_side_of_the_long_tail_the_end_solves_halls_transformation():
    values = np.array([0.1, 0.3, 0.2, 0.5, 0.4, 1.0, 0.2, 4.0])
    error, skew = stats.sem(values), float(stats.skew(values)) / math.sqrt(8)
    quantile = stats.t.ppf(0.975, 7)

    def transformed(t: float) -> float:
        return t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6

    root = optimize.brentq(lambda t: transformed(t) + quantile, -100, 0)
    low, high = mean_interval(values)
    assert high == pytest.approx(values.mean() - root * error)
    assert high > values.mean() + quantile * error, "wider than Student's"
    assert low == pytest.approx(values.mean() - quantile * error), "on the other side Student's"


def test_equal_values_give_an_interval_without_width():
    assert mean_interval(np.full(8, 1.5)) == (1.5, 1.5)
    assert mean_interval(np.zeros(40)) == (0, 0)
    low, high = mean_interval(np.full(10, 0.1))
    assert high - low < 1e-12


def test_two_values_have_an_interval_and_one_that_differs_from_all_others_a_finite_one():
    low, high = mean_interval(np.array([1.0, 2.0]))
    assert (low + high) / 2 == pytest.approx(1.5)
    low, high = mean_interval(np.array([1.0] * 39 + [30.0]))
    assert 0 < high - low < 100


def test_many_intervals_at_a_time_are_those_of_each():
    values = np.random.default_rng(0).exponential(size=(5, 12)).round(9)
    together = np.stack(mean_interval(values), axis=-1)
    assert together.tolist() == [[float(end) for end in mean_interval(row)] for row in values]


@settings(max_examples=50, deadline=None)
@given(st.lists(POINTS, min_size=2, max_size=20), st.sampled_from([0.5, 2.0, 4.0]))
def test_the_interval_holds_the_mean_turns_with_the_sign_and_scales(points: list[float], factor: float):
    values = np.array(points)
    low, high = mean_interval(values)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low - 1e-9 <= values.mean() <= high + 1e-9
    assert mean_interval(-values) == pytest.approx((-high, -low), abs=1e-9)
    assert mean_interval(factor * values) == pytest.approx((factor * low, factor * high), abs=1e-7)


SHAPES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed by 2": lambda rng, shape: rng.exponential(size=shape) - 1,
    "skewed by -2": lambda rng, shape: 1 - rng.exponential(size=shape),
    "skewed by 2.9": lambda rng, shape: np.exp(0.7 * rng.normal(size=shape)) - math.exp(0.7**2 / 2),
    "long tails": lambda rng, shape: rng.standard_t(3, size=shape),
    "outliers": lambda rng, shape: rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 5, 1),
    "whole points": lambda rng, shape: rng.normal(0, 1.5, size=shape).round(),
}


@pytest.mark.parametrize("num_videos", [10, 16, 40])
@pytest.mark.parametrize("shape", SHAPES)
def test_ninety_five_percent_are_covered_whatever_the_shape(shape: str, num_videos: int):
    """Of the BCa bootstrap, or Hall's interval alone, 91 % or fewer for outliers; of Student's for skewed values."""
    values = SHAPES[shape](np.random.default_rng(num_videos), (10_000, num_videos))
    low, high = mean_interval(values)
    covered = np.mean((low <= 0) & (high >= 0))
    least = 0.925 if shape == "skewed by 2.9" else 0.935
    assert least <= covered <= 0.98
