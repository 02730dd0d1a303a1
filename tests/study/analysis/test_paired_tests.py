"""Paired comparisons: known values, degenerate cases said aloud, and the power that a plan prints."""

import math
from collections.abc import Callable
from itertools import product
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.analysis import paired_tests
from study.analysis.paired_tests import Comparison, Values, compare, correct_family


def values(*seeds: list[float]) -> Values:
    return {seed: {f"video{i:02}": value for i, value in enumerate(row)} for seed, row in enumerate(seeds)}


def shifted(differences: list[float], base: float = 80.0) -> Comparison:
    return compare(values([base + d for d in differences]), values([base] * len(differences)))


def by_enumeration(differences: list[float]) -> float:
    """Two-sided signed-rank p-value from all 2^n signs, for differences without ties."""
    ranks = [sorted(map(abs, differences)).index(abs(d)) + 1 for d in differences]
    centre = sum(ranks) / 2
    observed = abs(sum(r for r, d in zip(ranks, differences, strict=True) if d > 0) - centre)
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in product((0, 1), repeat=len(ranks))]
    return sum(abs(s - centre) >= observed for s in sums) / len(sums)


@given(st.lists(st.integers(1, 1000), min_size=6, max_size=9, unique=True), st.randoms())
@settings(max_examples=20, deadline=None)
def test_the_p_value_is_the_share_of_sign_patterns_at_least_as_extreme(sizes: list[int], random: Random) -> None:
    differences = [float(random.choice((-1, 1)) * size) for size in sizes]
    assert paired_tests.wilcoxon_p_value(np.array(differences)) == pytest.approx(by_enumeration(differences))


def test_a_gain_on_every_video_is_better_and_a_loss_worse() -> None:
    gains = [1.0 + 0.1 * i for i in range(10)]
    better, worse = shifted(gains), shifted([-gain for gain in gains])
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.p_value == worse.p_value == pytest.approx(2**-9)
    assert better.mean_difference == pytest.approx(1.45)
    assert better.interval is not None
    assert 1.0 < better.interval[0] < 1.45 < better.interval[1] < 1.9


def test_gains_and_losses_that_cancel_are_inconclusive() -> None:
    comparison = shifted([3.0, -2.9, 1.0, -1.1, 2.0, -2.1, 0.5, -0.4])
    assert comparison.verdict == "inconclusive"
    assert comparison.interval is not None
    assert comparison.interval[0] < 0 < comparison.interval[1]


def test_one_outlier_that_carries_the_mean_against_the_ranks_is_inconclusive() -> None:
    comparison = shifted([1.0 + 0.01 * i for i in range(19)] + [-60.0])
    assert comparison.p_value is not None
    assert comparison.p_value < 0.05
    assert comparison.mean_difference < 0
    assert comparison.verdict == "inconclusive"


def test_identical_methods_have_nothing_to_test() -> None:
    comparison = shifted([0.0] * 40)
    assert (comparison.p_value, comparison.interval, comparison.verdict) == (None, (0.0, 0.0), "inconclusive")
    assert "The two do not differ on any of 40 videos: there is nothing to test." in comparison.remarks


def test_fewer_than_six_videos_get_a_sentence_and_no_p_value() -> None:
    comparison = shifted([5.0, 6.0, 7.0, 8.0, 9.0])
    assert (comparison.p_value, comparison.interval, comparison.verdict) == (None, None, "inconclusive")
    assert "With 5 videos a Wilcoxon test can never be significant (smallest p 0.0625)." in comparison.remarks


def test_videos_that_do_not_differ_do_not_count_towards_six() -> None:
    comparison = shifted([1.0, 2.0, 3.0, 4.0, 5.0] + [0.0] * 35)
    assert comparison.p_value is None
    assert any("With 5 of 40 videos that differ" in remark for remark in comparison.remarks)


def test_the_same_gain_on_every_video_gives_an_interval_without_width() -> None:
    comparison = shifted([1.5] * 8)
    assert comparison.interval == (1.5, 1.5)
    assert comparison.verdict == "better"


def test_noise_of_the_last_bits_is_no_difference() -> None:
    thirds = values([0.1 + 0.2] * 10)
    assert compare(thirds, values([0.3] * 10)).mean_difference == 0


def test_differences_are_means_over_matched_seeds_per_video() -> None:
    method, baseline = values([81.0] * 8, [85.0] * 8, [99.0] * 8), values([80.0] * 8, [82.0] * 8)
    comparison = compare(method, baseline)
    assert (comparison.num_videos, comparison.num_seeds) == (8, 2)
    assert comparison.mean_difference == 2.0
    assert comparison.seed_differences == (1.0, 3.0)
    assert "Left out, being run with one of the two methods only: seed 2." in comparison.remarks


@pytest.mark.parametrize("undefined", [None, math.nan])
def test_a_video_undefined_in_one_seed_is_left_out_and_named(undefined: float | None) -> None:
    method: Values = {0: {"a": 1.0, "b": 2.0}, 1: {"a": 1.0, "b": undefined}}
    comparison = compare(method, {0: {"a": 0.0, "b": 0.0}, 1: {"a": 0.0, "b": 0.0}})
    assert (comparison.num_videos, comparison.mean_difference) == (1, 1.0)
    assert "Left out, being undefined somewhere: b." in comparison.remarks


def test_methods_without_a_common_seed_or_video_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no seed in common"):
        compare({0: {"a": 1.0}}, {1: {"a": 1.0}})
    with pytest.raises(ValueError, match="no video has a defined value"):
        compare({0: {"a": 1.0}}, {0: {"b": 1.0}})


def test_three_seeds_are_said_to_be_too_few_for_a_test_over_seeds() -> None:
    assert "smallest p 0.25" in paired_tests.seed_remark(3)
    assert paired_tests.seed_remark(1) == "One seed: nothing is known of the spread over seeds."
    assert paired_tests.seed_remark(6) == ""


def with_p_value(p_value: float | None) -> Comparison:
    return Comparison(num_videos=40, num_seeds=3, mean_difference=1.0, interval=(0.5, 1.5), p_value=p_value)


def test_holm_multiplies_by_what_is_left_and_can_undo_a_verdict() -> None:
    family = correct_family({"a": with_p_value(0.03), "b": with_p_value(0.001), "c": with_p_value(0.02)})
    adjusted = {name: comparison.adjusted_p_value for name, comparison in family.items()}
    assert adjusted == pytest.approx({"a": 0.04, "b": 0.003, "c": 0.04})
    lone = with_p_value(0.03)
    assert lone.verdict == "better"
    assert correct_family({"a": lone, "b": with_p_value(0.9)})["a"].verdict == "inconclusive"


@pytest.mark.external
def test_holm_is_that_of_statsmodels() -> None:
    theirs = pytest.importorskip("statsmodels.stats.multitest")
    for p_values in ([0.2], [0.04, 0.001, 0.04, 0.9, 0.0, 1.0], np.random.default_rng(0).uniform(size=30).tolist()):
        assert paired_tests.holm(p_values).tolist() == theirs.multipletests(p_values, method="holm")[1].tolist()


def test_what_could_not_be_tested_still_counts_in_its_family() -> None:
    family = correct_family({"tested": with_p_value(0.03), "untested": with_p_value(None)})
    assert family["tested"].adjusted_p_value == pytest.approx(0.06)
    assert family["untested"].adjusted_p_value is None
    assert family["untested"].verdict == "inconclusive"


def test_an_empty_family_needs_no_correction() -> None:
    assert correct_family({}) == {}


def test_forty_videos_detect_a_gain_of_a_third_of_the_spread_about_half_the_time() -> None:
    assert paired_tests.wilcoxon_power(num_videos=40, sd=3, gain=1) == pytest.approx(0.52, abs=0.015)


def test_power_grows_with_the_gain_and_the_number_of_videos_and_starts_at_the_level() -> None:
    power = paired_tests.wilcoxon_power
    assert power(num_videos=20, sd=3, gain=0) == pytest.approx(0.05, abs=0.01)
    assert power(num_videos=20, sd=3, gain=1) < power(num_videos=20, sd=3, gain=2) < power(num_videos=40, sd=3, gain=2)
    assert power(num_videos=5, sd=3, gain=100) == 0


@pytest.mark.parametrize("power", [paired_tests.wilcoxon_power, paired_tests.verdict_power])
def test_power_of_differences_that_do_not_vary_is_refused(power: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="sd is 0"):
        power(num_videos=40, sd=0, gain=1)


@pytest.mark.parametrize("gain", [0.5, 1, 2])
def test_a_better_verdict_is_somewhat_less_probable_than_a_significant_test(gain: float) -> None:
    test = paired_tests.wilcoxon_power(num_videos=16, sd=3, gain=gain)
    verdict = paired_tests.verdict_power(num_videos=16, sd=3, gain=gain)
    assert test - 0.06 < verdict < test
    assert paired_tests.verdict_power(num_videos=5, sd=3, gain=100) == 0


def verdicts(differences: npt.NDArray[np.float64]) -> list[str]:
    return [shifted(row.tolist()).verdict for row in differences]


@pytest.mark.parametrize("num_videos", [16, 40])
def test_without_an_effect_few_verdicts_are_conclusive_and_as_many_on_either_side(num_videos: int) -> None:
    found = verdicts(np.random.default_rng(num_videos).normal(0, 3, (400, num_videos)))
    better, worse = found.count("better"), found.count("worse")
    assert 0.01 < (better + worse) / 400 < 0.07
    assert min(better, worse) >= 1


@pytest.mark.parametrize("num_videos", [16, 40])
def test_skewed_differences_with_mean_zero_are_seldom_called_an_effect(num_videos: int) -> None:
    """The signed-rank test alone calls one in ten of 16 videos, and one in five of 40."""
    differences = 3 * (np.random.default_rng(num_videos).exponential(size=(400, num_videos)) - 1)
    significant = np.mean([paired_tests.signed_rank_p_value(row) < 0.05 for row in differences])
    found = verdicts(differences)
    assert significant > 0.075
    assert 1 - found.count("inconclusive") / 400 < 0.075


@pytest.mark.parametrize(("num_videos", "gain"), [(16, 2.0), (40, 1.0)])
def test_a_planted_effect_is_found_as_often_as_the_plan_predicts(num_videos: int, gain: float) -> None:
    found = verdicts(np.random.default_rng(num_videos).normal(gain, 3, (400, num_videos)))
    predicted = paired_tests.verdict_power(num_videos=num_videos, sd=3, gain=gain)
    assert found.count("better") / 400 == pytest.approx(predicted, abs=0.06)
    assert "worse" not in found


def test_of_differences_alike_on_both_sides_a_conclusive_verdict_is_what_test_and_interval_say() -> None:
    for row in np.random.default_rng(0).normal(1.5, 3, (200, 12)):
        comparison = shifted(row.tolist())
        assert comparison.p_value is not None
        assert comparison.interval is not None
        apart = comparison.interval[0] > 0 or comparison.interval[1] < 0
        assert (comparison.verdict != "inconclusive") == (comparison.p_value < 0.05 and apart)
        assert comparison.interval[0] < comparison.mean_difference < comparison.interval[1]


@pytest.mark.parametrize("num_videos", [1, 2])
def test_one_or_two_videos_have_a_difference_and_nothing_more(num_videos: int) -> None:
    comparison = shifted([4.0] * num_videos)
    assert (comparison.mean_difference, comparison.num_videos) == (4.0, num_videos)
    assert (comparison.p_value, comparison.interval, comparison.verdict) == (None, None, "inconclusive")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.0, 0.5, 1.0]), min_size=1, max_size=20))
def test_any_differences_give_a_finite_interval_around_the_mean_and_turn_with_the_sign(gains: list[float]) -> None:
    forth, back = shifted(gains), shifted([-gain for gain in gains])
    assert forth.p_value == pytest.approx(back.p_value)
    assert forth.mean_difference == -back.mean_difference
    if forth.interval is not None:
        low, high = forth.interval
        assert math.isfinite(low)
        assert low - 1e-9 <= forth.mean_difference <= high + 1e-9
