"""Metrics of phase recognition: worked cases and conventions."""

import math
from typing import get_args

import numpy as np
import pytest

from tests.trainers.evaluation.metric_cases import Case, of
from trainers.evaluation import metrics
from trainers.evaluation.metrics import AbsentPhase, Relaxation

CONVENTIONS = get_args(AbsentPhase)
nan = math.nan

WORKED_TRUTH = np.repeat([0, 1, 2, 3], [4, 6, 4, 6])
WORKED_PREDICTION = np.array([1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 2, 3, 3, 3, 4, 4, 4, 4, 5, 6]) - 1


@pytest.mark.parametrize(
    ("relaxation", "accuracy", "precision", "recall", "jaccard"),
    [("relaxed_official", 70.0, 87.8571, 75.0, 59.7222), ("relaxed_fixed", 100.0, 100.0, 100.0, 100.0)],
)
def test_relaxed_metrics_of_the_worked_case_are_those_of_the_published_script(
    relaxation: Relaxation, accuracy: float, precision: float, recall: float, jaccard: float
) -> None:
    scores = Case(WORKED_TRUTH, WORKED_PREDICTION, 7).relaxed(relaxation, fps=0.2)
    means = {name: round(float(metrics.mean_over_defined(values)), 4) for name, values in scores.per_phase.items()}
    assert scores.whole == {"accuracy": accuracy}
    assert means == {"precision": precision, "recall": recall, "jaccard": jaccard}


def test_mean_accuracy_counts_every_video_alike_however_long_it_is() -> None:
    videos = [([0, 1, 1, 2], [0, 1, 2, 1]), ([1], [1])]
    assert [metrics.right_share(truth, prediction) for truth, prediction in videos] == [0.5, 1.0]
    assert metrics.mean_accuracy(videos) == 75.0


def test_strict_accuracy_of_the_worked_case_is_65() -> None:
    assert Case(WORKED_TRUTH, WORKED_PREDICTION, 7).strict().whole["accuracy"] == 65.0


def test_strict_metrics_of_a_case_counted_by_hand() -> None:
    scores = of([0, 0, 0, 0, 1, 1, 1, 2], [0, 0, 1, 1, 1, 1, 2, 2]).strict()
    assert scores.whole["accuracy"] == 62.5
    assert scores.per_phase["precision"] == pytest.approx([100, 50, 50])
    assert scores.per_phase["recall"] == pytest.approx([50, 200 / 3, 100])
    assert scores.per_phase["jaccard"] == pytest.approx([50, 40, 50])
    assert scores.per_phase["f1"] == pytest.approx([200 / 3, 400 / 7, 200 / 3])


@pytest.mark.parametrize(
    ("absent", "precision", "recall", "jaccard"),
    [
        ("undefined_if_empty", [0, nan, 0, nan], [0, 0, nan, nan], [0, 0, 0, nan]),
        ("undefined_if_absent", [0, nan, nan, nan], [0, 0, nan, nan], [0, 0, nan, nan]),
        ("scored", [0, nan, 0, 100], [0, 0, 0, 100], [0, 0, 0, 100]),
    ],
)
def test_absent_and_unpredicted_phases_count_as_the_convention_says(
    absent: AbsentPhase, precision: list[float], recall: list[float], jaccard: list[float]
) -> None:
    """Phase 0 is present and missed, 1 present and never predicted, 2 absent but predicted, 3 neither."""
    scores = of([0, 1, 1], [2, 0, 0], num_phases=4).strict(absent)
    np.testing.assert_array_equal(scores.per_phase["precision"], precision)
    np.testing.assert_array_equal(scores.per_phase["recall"], recall)
    np.testing.assert_array_equal(scores.per_phase["jaccard"], jaccard)
    np.testing.assert_array_equal(scores.per_phase["f1"], jaccard)


def test_edit_score_compares_the_order_of_segments_and_not_their_length() -> None:
    one_extra = of([0, 0, 0, 0, 1, 1, 2], [0, 1, 0, 1, 1, 2, 2])
    assert metrics.edit_score(one_extra.truth, one_extra.prediction) == pytest.approx(100 * (1 - 2 / 5))
    other_lengths = of([0, 0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 1, 2])
    assert metrics.edit_score(other_lengths.truth, other_lengths.prediction) == 100


def test_overlap_f1_counts_a_second_segment_on_the_same_truth_as_false() -> None:
    over_segmented = of([0] * 10 + [1] * 10, [0] * 6 + [2] + [0] * 3 + [1] * 10)
    assert metrics.overlap_f1(over_segmented.truth, over_segmented.prediction, 25) == pytest.approx(200 * 2 / (4 + 2))


def test_overlap_f1_needs_the_overlap_that_it_names() -> None:
    a_third = of([0] * 6 + [1] * 6, [0] * 2 + [1] * 10)
    f1 = [metrics.overlap_f1(a_third.truth, a_third.prediction, percent) for percent in (33, 34, 60, 61)]
    assert f1 == [100, 50, 50, 0]


def test_a_phase_never_predicted_but_forgiven_has_its_infinite_precision_cut_to_100() -> None:
    scores = of([1, 1, 2, 2], [1, 1, 1, 1]).relaxed("relaxed_fixed", fps=0.2)
    np.testing.assert_array_equal(scores.per_phase["precision"], [nan, 100, 100])
    np.testing.assert_array_equal(scores.per_phase["recall"], [nan, 100, 100])


def test_a_phase_never_predicted_nor_forgiven_has_undefined_relaxed_precision() -> None:
    scores = of([0, 0, 2, 2], [0, 0, 0, 0], num_phases=7).relaxed("relaxed_fixed", fps=0.2)
    np.testing.assert_array_equal(scores.per_phase["precision"], [50, nan, nan, nan, nan, nan, nan])
    np.testing.assert_array_equal(scores.per_phase["recall"], [100, nan, 0, nan, nan, nan, nan])
    np.testing.assert_array_equal(scores.per_phase["jaccard"], [50, nan, 0, nan, nan, nan, nan])


def test_a_video_of_each_phase_alone_forgives_two_back_for_the_last_two_and_two_ahead_for_the_last_four() -> None:
    def forgiven(shift: int) -> list[int]:
        within = [p for p in range(8) if 0 <= p + shift < 8]
        return [p for p in within if of([p], [p + shift], 8).relaxed("relaxed_fixed", fps=1).whole["accuracy"] == 100]

    assert forgiven(-1) == [1, 2, 3, 4, 5, 6, 7]
    assert forgiven(+1) == [0, 1, 2, 3, 4, 5, 6]
    assert forgiven(-2) == [6, 7]
    assert forgiven(+2) == [4, 5]
    assert forgiven(+3) == forgiven(-3) == []


@pytest.mark.parametrize("labels", [[-1, 0], [0, 3], []])
def test_unlabelled_unknown_or_no_frames_are_the_callers_mistake(labels: list[int]) -> None:
    with pytest.raises(AssertionError):
        of(labels, [0] * len(labels)).strict()


def test_strict_summary_averages_a_phase_over_the_videos_that_have_it_and_then_the_phases() -> None:
    first, second = of([0, 0, 1, 1], [0, 0, 0, 1]), of([0, 0, 0, 0], [0, 0, 0, 2])
    summary = metrics.summarise_strict([first.strict(), second.strict()])
    assert summary["recall"].mean == pytest.approx((87.5 + 50) / 2)
    assert summary["recall"].std == pytest.approx(37.5 / math.sqrt(2))
    assert summary["recall"].over == "phases"
    assert summary["accuracy"] == metrics.Summary(mean=75.0, std=0.0, over="videos")


def test_relaxed_summary_leaves_a_phase_of_no_video_out_of_precision_alone() -> None:
    summary = metrics.summarise_relaxed([of([0, 1], [0, 1]).relaxed("relaxed_official", fps=1)] * 2)
    assert summary["precision"].mean == 100
    assert math.isnan(summary["recall"].mean)
    assert math.isnan(summary["jaccard"].std)
    assert summary["accuracy"].mean == 100


def test_standard_deviations_divide_by_n_less_one_and_are_undefined_for_one_video() -> None:
    half, whole = of([0, 1], [0, 0]).strict(), of([0, 1], [0, 1]).strict()
    assert metrics.summarise_strict([half, whole])["accuracy"].std == pytest.approx(50 / math.sqrt(2))
    assert math.isnan(metrics.summarise_strict([half])["accuracy"].std)
