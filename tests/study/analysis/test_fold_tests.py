"""Comparisons of cross-validated rows: pooled videos, folds that are no repetitions, the corrected t-test."""

import math

import numpy as np
import pytest
from scipy import stats

from study.analysis.fold_tests import FoldRun, Runs, compare_runs, corrected_resampled_t
from study.analysis.paired_tests import compare
from trainers.names import Fold


def runs(gains: list[list[float]], *, base: float = 80.0, repeats: int = 1, seed: int = 0, drift: float = 0.0) -> Runs:
    """A fold for every list; videos are numbered through, and later drawings gain `drift` more."""
    found = {}
    for repeat in range(1, repeats + 1):
        number = 0
        for index, fold in enumerate(gains, start=1):
            videos = {f"video{number + i:02}": base + gain + drift * (repeat - 1) for i, gain in enumerate(fold)}
            number += len(fold)
            found[FoldRun(seed, Fold(count=len(gains), repeat=repeat, number=index))] = videos
    return found


GAINS = [[1.0, 2.0, 0.5], [-0.5, 3.0, 1.5], [0.8, 1.2, 2.2]]
NOTHING = [[0.0] * 3] * 3


def test_videos_of_all_folds_are_tested_together_as_if_one_model_had_seen_them():
    comparison = compare_runs(runs(GAINS), runs(NOTHING))
    flat = [gain for fold in GAINS for gain in fold]
    alike = compare({0: {f"v{i}": 80 + g for i, g in enumerate(flat)}}, {0: {f"v{i}": 80.0 for i in range(9)}})
    assert comparison.p_value == alike.p_value
    assert comparison.interval == alike.interval
    assert (comparison.num_videos, comparison.num_folds, comparison.num_seeds) == (9, 3, 1)
    assert comparison.mean_difference == pytest.approx(np.mean(flat))
    assert any("folds are no repetitions as seeds are" in remark for remark in comparison.remarks)
    assert comparison.test == "signed-rank"


def test_drawings_are_averaged_by_video_and_tested_over_folds():
    comparison = compare_runs(runs(GAINS, repeats=2, drift=0.4), runs(NOTHING, repeats=2))
    assert (comparison.num_videos, comparison.num_folds, comparison.test) == (9, 6, "corrected t")
    flat = [gain for fold in GAINS for gain in fold]
    assert comparison.mean_difference == pytest.approx(np.mean(flat) + 0.2)
    by_fold = np.array([np.mean(fold) + drift for drift in (0, 0.4) for fold in GAINS])
    p_value, interval = corrected_resampled_t(by_fold.round(9), count=3)
    assert comparison.p_value == pytest.approx(p_value)
    assert comparison.interval == pytest.approx(interval)


def test_an_interval_lies_around_the_mean_difference_where_folds_differ_in_size():
    uneven = [[1.0, 2.0, 0.5, 6.0], [-0.5, 3.0], [0.8, 1.2]]
    comparison = compare_runs(
        runs(uneven, repeats=2, drift=0.4), runs([[0.0] * len(each) for each in uneven], repeats=2)
    )
    assert comparison.interval is not None
    assert comparison.mean_difference == pytest.approx(sum(comparison.interval) / 2)
    assert comparison.mean_difference != pytest.approx(np.mean([np.mean(each) for each in uneven]) + 0.2)


def test_the_corrected_t_is_the_usual_one_with_a_larger_variance():
    differences = np.array([1.0, 2.5, 0.5, 1.5, -0.5, 2.0])
    naive = stats.ttest_1samp(differences, 0).statistic
    expected = naive * math.sqrt((1 / 6) / (1 / 6 + 1 / 2))
    p_value, interval = corrected_resampled_t(differences, count=3)
    assert p_value == pytest.approx(2 * stats.t.sf(expected, 5))
    assert interval is not None
    mean, reach = differences.mean(), differences.mean() / expected * stats.t.ppf(0.975, 5)
    assert interval == pytest.approx((mean - reach, mean + reach))


def test_folds_that_do_not_vary_cannot_be_tested():
    assert corrected_resampled_t(np.array([1.0, 1.0, 1.0]), count=3) == (None, None)
    assert corrected_resampled_t(np.array([1.0]), count=3) == (None, None)
    same = compare_runs(runs(NOTHING, repeats=2), runs(NOTHING, repeats=2))
    assert same.verdict == "inconclusive"
    assert any("nothing to test" in remark for remark in same.remarks)


def test_more_drawings_of_the_same_folds_do_not_make_a_difference_certain():
    few, many = (compare_runs(runs(GAINS, repeats=n), runs(NOTHING, repeats=n)).p_value for n in (2, 50))
    assert few is not None
    assert many is not None
    by_fold = np.array([np.mean(fold) for fold in GAINS])
    limit = abs(by_fold.mean()) / math.sqrt(by_fold.var() / 2)
    assert many > 0.5 * 2 * stats.norm.sf(limit)


def test_only_folds_that_both_have_are_compared_and_the_others_named():
    whole, part = runs(GAINS), runs(NOTHING)
    part = {run: values for run, values in part.items() if run.fold.number != 2}
    comparison = compare_runs(whole, part)
    assert (comparison.num_videos, comparison.num_folds) == (6, 2)
    assert "Left out, being run with one of the two methods only: fold2of3 of seed 0." in comparison.remarks


def test_seeds_are_averaged_within_a_video():
    method = {**runs(GAINS, seed=0), **runs(GAINS, seed=1, base=82.0)}
    baseline = {**runs(NOTHING, seed=0), **runs(NOTHING, seed=1)}
    comparison = compare_runs(method, baseline)
    assert (comparison.num_videos, comparison.num_seeds) == (9, 2)
    assert comparison.seed_differences == pytest.approx((1.3, 3.3))


def test_an_undefined_video_is_left_out_and_named():
    method = runs(GAINS)
    first = next(iter(method))
    broken = {**method, first: {**method[first], "video01": None}}
    comparison = compare_runs(broken, runs(NOTHING))
    assert comparison.num_videos == 8
    assert "Left out, being undefined somewhere: video01." in comparison.remarks
