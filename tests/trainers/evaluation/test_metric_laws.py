"""Laws that metrics keep whatever the videos are, and an independent reading of the relaxed script."""

import math
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.evaluation.metric_cases import RELAXATIONS, Case, cases, fps_values
from trainers.evaluation import metrics
from trainers.evaluation.metrics import AbsentPhase, Relaxation

CONVENTIONS = get_args(AbsentPhase)
nan = math.nan
law = settings(deadline=None)


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
