"""Holes of the annotation in the metrics: nothing counts there, and time goes on."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.evaluation.metric_cases import RELAXATIONS, Case, cases, fps_values
from trainers.artifacts.evaluation import PROTOCOLS
from trainers.artifacts.predictions import VideoPredictions
from trainers.evaluation.metrics import Relaxation
from trainers.evaluation.panel import Panel, ScoredProtocol

law = settings(deadline=None, max_examples=50)


def scored(protocol: str, truth: np.ndarray, prediction: np.ndarray, num_phases: int, fps: float) -> ScoredProtocol:
    video = VideoPredictions(
        video="video01",
        frames=np.arange(len(truth), dtype=np.int32),
        truth=truth.astype(np.int8),
        prediction=prediction.astype(np.int8),
    )
    return Panel(num_phases=num_phases, relaxed_fps=fps).scored_by(protocol, [video])


def assert_same_scores(first: ScoredProtocol, second: ScoredProtocol) -> None:
    (one,), (other,) = first.videos.values(), second.videos.values()
    assert one.whole == other.whole
    for name, values in one.per_phase.items():
        np.testing.assert_array_equal(values, other.per_phase[name])


@law
@given(cases(), fps_values, st.data())
def test_holes_between_two_phases_change_no_score_under_any_protocol(
    case: Case, fps: float, data: st.DataObject
) -> None:
    changes = [i + 1 for i, (a, b) in enumerate(pairwise(case.truth.tolist())) if a != b]
    places = [place for place in (0, *changes, len(case.truth)) for _ in range(data.draw(st.integers(0, 3)))]
    truth = np.insert(case.truth, places, -1)
    prediction = np.insert(case.prediction, places, data.draw(st.integers(0, case.num_phases - 1)))
    for protocol in PROTOCOLS:
        with_holes = scored(protocol, truth, prediction, case.num_phases, fps)
        assert_same_scores(with_holes, scored(protocol, case.truth, case.prediction, case.num_phases, fps))


@law
@given(cases(), st.data())
def test_holes_anywhere_leave_the_strict_scores_of_the_labelled_rows(case: Case, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(case.truth)), max_size=8).map(sorted))
    truth, prediction = np.insert(case.truth, places, -1), np.insert(case.prediction, places, 0)
    with_holes = scored("strict", truth, prediction, case.num_phases, 1)
    assert_same_scores(with_holes, scored("strict", case.truth, case.prediction, case.num_phases, 1))


@law
@given(cases(), fps_values, st.data())
def test_what_is_predicted_in_a_hole_changes_no_score_under_any_protocol(
    case: Case, fps: float, data: st.DataObject
) -> None:
    hidden = data.draw(st.lists(st.integers(0, len(case.truth) - 1), max_size=4))
    truth, other = case.truth.copy(), case.prediction.copy()
    truth[hidden] = -1
    other[hidden] = data.draw(st.integers(0, case.num_phases - 1))
    if np.any(truth >= 0):
        for protocol in PROTOCOLS:
            before = scored(protocol, truth, case.prediction, case.num_phases, fps)
            assert_same_scores(before, scored(protocol, truth, other, case.num_phases, fps))


@pytest.mark.parametrize(("num_hidden", "accuracy"), [(0, 100.0), (2, 100 * 4 / 6), (10, 100 * 4 / 6)])
def test_the_ten_seconds_after_a_transition_pass_in_a_hole_too(num_hidden: int, accuracy: float) -> None:
    """Phase 1 begins in row 2; its first row is labelled, then come the hidden rows, then two late predictions."""
    truth = np.array([0, 0, 1, *[-1] * num_hidden, 1, 1, 1])
    prediction = np.array([0, 0, 1, *[0] * num_hidden, 0, 0, 1])
    found = scored("relaxed_fixed", truth, prediction, num_phases=7, fps=0.3)  # a window of three rows
    assert found.videos["video01"].whole["accuracy"] == pytest.approx(accuracy)


def test_a_phase_that_goes_on_after_a_hole_is_one_segment() -> None:
    truth = np.array([0, 0, -1, -1, 0, 0, 1, 1])
    split = np.array([0, 0, 2, 2, 0, 0, 1, 1])
    found = scored("strict", truth, split, num_phases=3, fps=1).videos["video01"].whole
    assert found == {"accuracy": 100, "edit": 100, "f1@10": 100, "f1@25": 100, "f1@50": 100}


@pytest.mark.parametrize("num_phases", [1, 2, 3])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_a_hole_is_not_taken_for_a_phase_that_is_forgiven(num_phases: int, relaxation: Relaxation) -> None:
    found = scored(relaxation, np.array([0, -1, 0]), np.zeros(3, np.int64), num_phases, fps=1)
    assert found.videos["video01"].whole["accuracy"] == 100
