"""Metrics of phase recognition: worked cases, conventions, laws, and an independent reading of the relaxed script."""

import math
from dataclasses import dataclass
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.evaluation import metrics
from trainers.evaluation.metrics import AbsentPhase, Relaxation, VideoScores

RELAXATIONS = get_args(Relaxation)
CONVENTIONS = get_args(AbsentPhase)
nan = math.nan
law = settings(deadline=None)

WORKED_TRUTH = np.repeat([0, 1, 2, 3], [4, 6, 4, 6])
WORKED_PREDICTION = np.array([1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 2, 3, 3, 3, 4, 4, 4, 4, 5, 6]) - 1


@dataclass(frozen=True)
class Case:
    truth: np.ndarray
    prediction: np.ndarray
    num_phases: int

    def strict(self, absent: AbsentPhase = "undefined_if_absent") -> VideoScores:
        return metrics.strict(self.truth, self.prediction, num_phases=self.num_phases, absent=absent)

    def relaxed(self, relaxation: Relaxation, fps: float) -> VideoScores:
        return metrics.relaxed(self.truth, self.prediction, num_phases=self.num_phases, fps=fps, relaxation=relaxation)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Sequences of runs, as surgery has them, with predictions that come close to the truth or do not."""
    num_phases = draw(st.integers(2, 9))
    phase = st.integers(0, num_phases - 1)
    runs = draw(st.lists(st.tuples(phase, st.integers(1, 8)), min_size=1, max_size=6))
    truth = np.concatenate([np.full(length, value, np.int8) for value, length in runs])
    shifts = draw(st.lists(st.sampled_from([0, 0, 0, -1, 1, 2, -2, 3]), min_size=len(truth), max_size=len(truth)))
    prediction = np.clip(truth + np.array(shifts), 0, num_phases - 1).astype(np.int8)
    return Case(truth, prediction, num_phases)


fps_values = st.sampled_from([0.01, 0.1, 0.2, 0.3, 0.5, 25.0])


def of(truth: list[int], prediction: list[int], num_phases: int = 3) -> Case:
    return Case(np.array(truth), np.array(prediction), num_phases)


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


@law
@given(cases(), fps_values)
def test_a_perfect_prediction_scores_100_everywhere(case: Case, fps: float) -> None:
    perfect = Case(case.truth, case.truth, case.num_phases)
    for scores in (perfect.strict("scored"), perfect.strict(), *(perfect.relaxed(r, fps) for r in RELAXATIONS)):
        assert set(scores.whole.values()) == {100.0}
        for values in scores.per_phase.values():
            assert set(values[~np.isnan(values)]) == {100.0}


@law
@given(cases(), st.sampled_from(CONVENTIONS))
def test_strict_jaccard_exceeds_neither_precision_nor_recall_nor_f1(case: Case, absent: AbsentPhase) -> None:
    scores = case.strict(absent).per_phase
    for other in ("precision", "recall", "f1"):
        both = ~np.isnan(scores["jaccard"]) & ~np.isnan(scores[other])
        assert np.all(scores["jaccard"][both] <= scores[other][both] + 1e-9)


@law
@given(cases())
def test_strict_f1_is_the_harmonic_mean_of_precision_and_recall(case: Case) -> None:
    scores = case.strict().per_phase
    found = scores["jaccard"] > 0
    harmonic = 2 / (1 / scores["precision"][found] + 1 / scores["recall"][found])
    assert scores["f1"][found] == pytest.approx(harmonic)


@law
@given(cases(), fps_values, st.sampled_from(RELAXATIONS))
def test_relaxed_accuracy_is_never_below_strict_accuracy(case: Case, fps: float, relaxation: Relaxation) -> None:
    assert case.relaxed(relaxation, fps).whole["accuracy"] >= case.strict().whole["accuracy"] - 1e-9


@law
@given(cases(), st.tuples(fps_values, fps_values))
def test_a_longer_window_forgives_no_less_once_the_slip_is_mended(case: Case, windows: tuple[float, float]) -> None:
    short, long = (case.relaxed("relaxed_fixed", fps).whole["accuracy"] for fps in sorted(windows))
    assert short <= long


@law
@given(cases(), st.sampled_from(RELAXATIONS))
def test_without_a_window_relaxed_metrics_are_the_strict_ones(case: Case, relaxation: Relaxation) -> None:
    relaxed, strict = case.relaxed(relaxation, fps=0.01), case.strict()
    assert relaxed.whole["accuracy"] == pytest.approx(strict.whole["accuracy"])
    for name, values in relaxed.per_phase.items():
        np.testing.assert_allclose(values, strict.per_phase[name])


@law
@given(cases())
def test_the_slip_does_not_matter_when_the_window_covers_every_segment(case: Case) -> None:
    official, fixed = case.relaxed("relaxed_official", fps=25), case.relaxed("relaxed_fixed", fps=25)
    assert official.whole == fixed.whole
    for name, values in official.per_phase.items():
        np.testing.assert_array_equal(values, fixed.per_phase[name])


@law
@given(cases())
def test_overlap_f1_never_rises_with_the_overlap_asked_for(case: Case) -> None:
    whole = case.strict().whole
    assert whole["f1@10"] >= whole["f1@25"] >= whole["f1@50"]


@law
@given(cases(), fps_values)
def test_every_value_is_undefined_or_between_0_and_100(case: Case, fps: float) -> None:
    for scores in (*(case.strict(a) for a in CONVENTIONS), *(case.relaxed(r, fps) for r in RELAXATIONS)):
        values = np.concatenate([list(scores.whole.values()), *scores.per_phase.values()])
        values = values[~np.isnan(values)]
        assert np.all((values >= 0) & (values <= 100))


@law
@given(cases())
def test_renaming_phases_renames_strict_scores_and_changes_nothing_else(case: Case) -> None:
    last = case.num_phases - 1
    scores, mirrored = case.strict(), Case(last - case.truth, last - case.prediction, case.num_phases).strict()
    assert mirrored.whole == scores.whole
    for name, values in scores.per_phase.items():
        np.testing.assert_array_equal(mirrored.per_phase[name], values[::-1])


@law
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40), st.randoms())
def test_the_order_of_the_videos_does_not_matter(frames: list[tuple[int, int]], random: Random) -> None:
    pairs = np.array(frames)
    videos = [Case(part[:, 0], part[:, 1], 4) for part in np.array_split(pairs, 4) if len(part)]
    shuffled = list(videos)
    random.shuffle(shuffled)
    for before, after in zip(both_summaries(videos), both_summaries(shuffled), strict=True):
        for name, summary in before.items():
            assert [summary.mean, summary.std] == pytest.approx([after[name].mean, after[name].std], nan_ok=True)


def both_summaries(videos: list[Case]) -> list[dict[str, metrics.Summary]]:
    strict = metrics.summarise_strict([video.strict() for video in videos])
    return [strict, metrics.summarise_relaxed([video.relaxed("relaxed_fixed", 0.2) for video in videos])]


@settings(law, max_examples=300)
@given(cases(), fps_values, st.sampled_from(RELAXATIONS))
def test_relaxed_metrics_agree_with_a_frame_by_frame_reading_of_the_script(
    case: Case, fps: float, relaxation: Relaxation
) -> None:
    accuracy, per_phase = relaxed_by_the_letter(case, round(10 * fps), slip=relaxation == "relaxed_official")
    scores = case.relaxed(relaxation, fps)
    assert scores.whole["accuracy"] == pytest.approx(accuracy)
    for phase, expected in enumerate(per_phase):
        found = [scores.per_phase[name][phase] for name in ("precision", "recall", "jaccard")]
        assert found == pytest.approx(expected, nan_ok=True)


def relaxed_by_the_letter(case: Case, window: int, *, slip: bool) -> tuple[float, list[tuple[float, float, float]]]:
    """The relaxed script with phase ids 1…n, one frame after another, in plain Python."""
    truth, prediction = [int(x) + 1 for x in case.truth], [int(x) + 1 for x in case.prediction]
    n, updated = case.num_phases, []
    position = 0
    while position < len(truth):
        phase, end = truth[position], position
        while end < len(truth) and truth[end] == phase:
            end += 1
        updated += updated_segment(phase, n, [prediction[i] - phase for i in range(position, end)], window, slip)
        position = end
    accuracy = 100 * updated.count(0) / len(truth)
    return accuracy, [phase_by_the_letter(p, truth, prediction, updated) for p in range(1, n + 1)]


def updated_segment(phase: int, n: int, segment: list[int], window: int, slip: bool) -> list[int]:
    t = min(window, len(segment))
    for k in range(t):
        if segment[k] == -1 or (phase in (n - 1, n) and segment[k] == -2):
            segment[k] = 0
    offset = len(segment) - t
    early = [segment[offset + k] == 1 or (phase > n - 4 and segment[offset + k] == 2) for k in range(t)]
    for k in range(t):
        if early[k]:
            segment[k if slip else offset + k] = 0
    return segment


def phase_by_the_letter(
    phase: int, truth: list[int], prediction: list[int], updated: list[int]
) -> tuple[float, float, float]:
    if phase not in truth:
        return nan, nan, nan
    union = [i for i in range(len(truth)) if phase in (truth[i], prediction[i])]
    tp = sum(updated[i] == 0 for i in union)
    num_predicted = prediction.count(phase)
    never = nan if tp == 0 else 100.0
    precision = min(100.0, 100 * tp / num_predicted) if num_predicted else never
    return precision, min(100.0, 100 * tp / truth.count(phase)), 100 * tp / len(union)
