"""The relaxed protocols in every corner, against values by hand and a literal reading of the authors' script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.evaluation.metric_cases import Case, cases, fps_values
from trainers.artifacts.predictions import VideoPredictions
from trainers.evaluation.panel import Panel, ScoredProtocol

nan = math.nan
METRICS = ("jaccard", "precision", "recall")


@dataclass(frozen=True)
class Corner:
    """A video in phases 1…n, and what the script says of it: accuracy, then per phase what is not NaN."""

    what: str
    truth: str
    prediction: str
    accuracy: float
    jaccard: dict[int, float]
    precision: dict[int, float]
    recall: dict[int, float]
    n: int = 7
    window: float = 2
    relaxation: str = "relaxed_official"


ALL = {1: 100, 2: 100}
THIRD = 100 / 3
CORNERS = (
    Corner("one row, right", "3", "3", 100, {3: 100}, {3: 100}, {3: 100}),
    Corner("one row, early by one: its end is its start", "3", "4", 100, {3: 100}, {3: 100}, {3: 100}),
    Corner("one row, wrong", "3", "6", 0, {3: 0}, {}, {3: 0}),
    Corner("never predicted and forgiven: Inf becomes 100", "44", "33", 100, {4: 100}, {4: 100}, {4: 100}),
    Corner("never predicted nor forgiven: NaN", "444", "111", 0, {4: 0}, {}, {4: 0}),
    Corner("an absent phase that is predicted is NaN", "1111", "1112", 75, {1: 75}, {1: 100}, {1: 75}),
    Corner(
        "the slip: an early change at the end is zeroed at the start, where it was right already",
        "1111222", "1112222", 600 / 7, {1: 75, 2: 75}, {1: 100, 2: 75}, {1: 75, 2: 100},
    ),
    Corner(
        "without the slip it is forgiven, and counts for both phases: above 100 becomes 100",
        "1111222", "1112222", 100, ALL, ALL, ALL, relaxation="relaxed_fixed",
    ),
    Corner(
        "the slip gives away what is wrong at the start, for an early change at the end",
        "111122", "151222", 500 / 6, {1: 75, 2: 2 * THIRD}, {1: 100, 2: 2 * THIRD}, {1: 75, 2: 100},
    ),
    Corner("a late change within the window", "1122", "1112", 100, ALL, ALL, ALL),
    Corner(
        "a late change beyond the window", "112222", "111112", 500 / 6, {1: 80, 2: 75}, {1: 80, 2: 100}, {1: 100, 2: 75}
    ),
    Corner("late by two is forgiven in the last two phases", "66", "44", 100, {6: 100}, {6: 100}, {6: 100}),
    Corner("late by two is not forgiven in the third from last", "55", "33", 0, {5: 0}, {}, {5: 0}),
    Corner("early by two is forgiven in the last four phases", "44", "66", 100, {4: 100}, {4: 100}, {4: 100}),
    Corner("early by two is not forgiven before them", "33", "55", 0, {3: 0}, {}, {3: 0}),
    Corner("a segment as long as the window: its end is its start", "33", "34", 100, {3: 100}, {3: 100}, {3: 100}),
    Corner(
        "no window at all", "1122", "1112", 75,
        {1: 2 * THIRD, 2: 50}, {1: 2 * THIRD, 2: 100}, {1: 100, 2: 50}, window=0.4,
    ),
    Corner(
        "a window that is no whole number of rows is cut", "1222", "1112", 75,
        {1: 2 * THIRD, 2: 2 * THIRD}, {1: 2 * THIRD, 2: 100}, {1: 100, 2: 2 * THIRD}, window=1.9,
    ),
    Corner("one phase alone", "11", "11", 100, {1: 100}, {1: 100}, {1: 100}, n=1),
    Corner("two phases: both are among the last", "1122", "2211", 100, ALL, ALL, ALL, n=2),
    Corner("three phases: the first may be two ahead", "11", "33", 100, {1: 100}, {1: 100}, {1: 100}, n=3),
    Corner("three phases: the last may be two behind", "33", "11", 100, {3: 100}, {3: 100}, {3: 100}, n=3),
    Corner("four phases: the first may be two ahead", "11", "33", 100, {1: 100}, {1: 100}, {1: 100}, n=4),
    Corner("four phases: the second may be two ahead", "22", "44", 100, {2: 100}, {2: 100}, {2: 100}, n=4),
    Corner("four phases: three ahead is wrong", "11", "44", 0, {1: 0}, {}, {1: 0}, n=4),
    Corner("the eighth phase of M2CAI16 may be two behind", "88", "66", 100, {8: 100}, {8: 100}, {8: 100}, n=8),
    Corner("the sixth phase of M2CAI16 may not be two behind", "66", "44", 0, {6: 0}, {}, {6: 0}, n=8),
)  # fmt: skip


def labels(text: str) -> np.ndarray:
    return np.array([int(each) - 1 for each in text], np.int8)


def scored(relaxation: str, videos: Sequence[Case], window: float, std_of_one: float = 0.0) -> ScoredProtocol:
    panel = Panel(num_phases=videos[0].num_phases, relaxed_fps=window / 10, std_of_one=std_of_one)
    rows = [
        VideoPredictions(
            video=f"video{number:02}",
            frames=np.arange(len(video.truth), dtype=np.int32),
            truth=video.truth.astype(np.int8),
            prediction=video.prediction.astype(np.int8),
        )
        for number, video in enumerate(videos)
    ]
    return panel.scored_by(relaxation, rows)


@pytest.mark.parametrize("corner", CORNERS, ids=lambda corner: corner.what)
def test_the_script_says_of_a_corner_what_was_counted_by_hand(corner: Corner) -> None:
    case = Case(labels(corner.truth), labels(corner.prediction), corner.n)
    found = scored(corner.relaxation, [case], corner.window).videos["video00"]
    assert found.whole["accuracy"] == pytest.approx(corner.accuracy, abs=1e-12)
    for metric in METRICS:
        expected = {phase: min(value, 100.0) for phase, value in getattr(corner, metric).items()}
        values = {phase: value for phase, value in enumerate(found.per_phase[metric], 1) if not math.isnan(value)}
        assert values == pytest.approx(expected, abs=1e-12), metric


@pytest.mark.parametrize("corner", CORNERS, ids=lambda corner: corner.what)
def test_what_was_counted_by_hand_is_what_the_literal_reading_says(corner: Corner) -> None:
    slip = corner.relaxation == "relaxed_official"
    jaccard, precision, recall, accuracy = script(
        labels(corner.truth), labels(corner.prediction), corner.n, corner.window, slip
    )
    assert accuracy == pytest.approx(corner.accuracy, abs=1e-12)
    for values, expected in ((jaccard, corner.jaccard), (precision, corner.precision), (recall, corner.recall)):
        found = {phase: min(value, 100.0) for phase, value in enumerate(values, 1) if not math.isnan(value)}
        assert found == pytest.approx({phase: min(value, 100.0) for phase, value in expected.items()}, abs=1e-12)


@st.composite
def sets_of_videos(draw: st.DrawFn) -> list[Case]:
    """One to four videos of the same phases."""
    drawn = draw(st.lists(cases(), min_size=1, max_size=4))
    n = max(case.num_phases for case in drawn)
    return [Case(case.truth, case.prediction, n) for case in drawn]


@settings(deadline=None, max_examples=150)
@given(sets_of_videos(), fps_values, st.booleans())
def test_summaries_are_the_scripts(videos: list[Case], fps: float, slip: bool) -> None:
    window = 10 * fps
    found = scored("relaxed_official" if slip else "relaxed_fixed", videos, window).summary
    assert {name: each.over for name, each in found.items()} == {
        "accuracy": "videos", "precision": "phases", "recall": "phases", "jaccard": "phases"
    }  # fmt: skip
    for name, (mean, std) in summary_of_script(videos, window, slip).items():
        assert found[name].mean == pytest.approx(mean, abs=1e-9, nan_ok=True), name
        assert found[name].std == pytest.approx(std, abs=1e-9, nan_ok=True), name


def test_the_spread_of_one_value_is_0_in_matlab_and_undefined_where_the_caller_says_so() -> None:
    video = Case(labels("1122334"), labels("1122334"), 7)
    assert scored("relaxed_official", [video], 2).summary["accuracy"].std == 0
    assert math.isnan(scored("relaxed_official", [video], 2, nan).summary["accuracy"].std)


def script(
    truth: np.ndarray, prediction: np.ndarray, n: int, window: float, slip: bool
) -> tuple[list[float], list[float], list[float], float]:
    """One video, statement by statement, with MATLAB's ids from 1 and its divisions by 0."""
    gt, pred = [int(label) + 1 for label in truth], [int(label) + 1 for label in prediction]
    diff = [p - g for p, g in zip(pred, gt, strict=True)]
    updated: dict[int, int] = {}
    for phase in range(1, n + 1):
        for component in components(gt, phase):
            current = [diff[index] for index in component]
            t = min(int(window + 1e-9), len(current))
            late = (-1, -2) if phase in (n - 1, n) else (-1,)
            early = (1, 2) if phase in (n - 3, n - 2, n - 1, n) else (1,)
            current = [0 if place < t and value in late else value for place, value in enumerate(current)]
            mask = [value in early for value in current[len(current) - t :]]
            for place, is_early in enumerate(mask):
                if is_early:
                    current[place if slip else len(current) - t + place] = 0
            updated.update(zip(component, current, strict=True))
    jaccard, precision, recall = [], [], []
    for phase in range(1, n + 1):
        union = [i for i in range(len(gt)) if gt[i] == phase or pred[i] == phase]
        tp = sum(updated[i] == 0 for i in union)
        if phase not in gt:
            jaccard.append(nan)
            precision.append(nan)
            recall.append(nan)
            continue
        jaccard.append(tp / len(union) * 100)
        precision.append(quotient(tp * 100, pred.count(phase)))
        recall.append(tp * 100 / gt.count(phase))
    return jaccard, precision, recall, sum(value == 0 for value in updated.values()) / len(gt) * 100


def components(gt: list[int], phase: int) -> list[list[int]]:
    found: list[list[int]] = []
    for index, label in enumerate(gt):
        if label == phase:
            if found and found[-1][-1] == index - 1:
                found[-1].append(index)
            else:
                found.append([index])
    return found


def quotient(a: float, b: float) -> float:
    return a / b if b else (math.inf if a else nan)


def summary_of_script(videos: list[Case], window: float, slip: bool) -> dict[str, tuple[float, float]]:
    """The script's last part: values above 100 are cut, then means and n-1 standard deviations."""
    results = [script(video.truth, video.prediction, video.num_phases, window, slip) for video in videos]
    summary = {"accuracy": (mean([r[3] for r in results]), std([r[3] for r in results]))}
    for column, name in enumerate(METRICS):
        cut = [[100.0 if value > 100 else value for value in result[column]] for result in results]
        per_phase = [nanmean([row[phase] for row in cut]) for phase in range(videos[0].num_phases)]
        if name == "precision":
            per_phase = [value for value in per_phase if not math.isnan(value)]
        summary[name] = (mean(per_phase), std(per_phase))
    return summary


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else nan


def nanmean(values: list[float]) -> float:
    return mean([value for value in values if not math.isnan(value)])


def std(values: list[float]) -> float:
    if len(values) < 2:
        return values[0] - values[0] if values else nan
    return math.sqrt(sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1))
