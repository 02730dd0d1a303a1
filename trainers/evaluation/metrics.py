"""Metrics of phase recognition, as pure functions of label sequences; values are in percent, NaN is undefined."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]
"""(num_frames,): index of the phase, 0…n-1. Unlabelled frames are the caller's to take out, but for `relaxed`."""
Scores = npt.NDArray[np.float64]
"""(num_phases,): one metric of one video in percent, NaN for a phase where it is undefined."""

AbsentPhase = Literal["undefined_if_empty", "undefined_if_absent", "scored"]
"""Rule for a phase that a video's ground truth lacks, in the strict metrics of that video.

- `undefined_if_empty` (A): undefined only where the metric's denominator is empty.
- `undefined_if_absent` (B): always undefined.
- `scored` (C): 100 if it was not predicted either, 0 if it was.
"""
Relaxation = Literal["relaxed_official", "relaxed_fixed"]
"""The published relaxed script with its indexing slip, or what it evidently intends."""

OVERLAPS_PERCENT = (10, 25, 50)
RELAXED_SECONDS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoScores:
    """Scores of one video under one protocol, by the name of the metric."""

    whole: Mapping[str, float]
    """Metrics of the whole sequence, such as accuracy."""
    per_phase: Mapping[str, Scores]
    """Metrics of each phase, such as Jaccard."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A metric over a set of videos: its mean, and its standard deviation (n-1) over what is named.

    A single video, or phase, has no standard deviation: it is NaN, or what the caller of the summary says.
    """

    mean: float
    std: float
    over: Literal["videos", "phases"]


def strict(
    truth: Labels, prediction: Labels, *, num_phases: int, absent: AbsentPhase = "undefined_if_absent"
) -> VideoScores:
    """Frame-exact metrics and segmental metrics of one video.

    A phase that is present and never predicted has undefined precision; its recall, Jaccard and F1 are 0.

    Args:
        truth: (num_frames,) ground truth, without unlabelled frames.
        prediction: (num_frames,) predicted phases.
        num_phases: number of phases n.
        absent: how a phase that the ground truth lacks counts.
    """
    _check(truth, prediction, num_phases)
    hits = np.bincount(truth[truth == prediction], minlength=num_phases)
    num_true = np.bincount(truth, minlength=num_phases)
    num_predicted = np.bincount(prediction, minlength=num_phases)
    per_phase = {
        "precision": _percent(hits, num_predicted),
        "recall": _percent(hits, num_true),
        "jaccard": _percent(hits, num_true + num_predicted - hits),
        "f1": _percent(2 * hits, num_true + num_predicted),
    }
    whole = {"accuracy": 100 * right_share(truth, prediction), "edit": edit_score(truth, prediction)}
    whole |= {f"f1@{percent}": overlap_f1(truth, prediction, percent) for percent in OVERLAPS_PERCENT}
    replace = _absent_rule(absent, is_absent=num_true == 0, is_predicted=num_predicted > 0)
    return VideoScores(whole=whole, per_phase={name: replace(scores) for name, scores in per_phase.items()})


def right_share(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """The share of frames, 0…1, whose phase is predicted right; there is at least one frame."""
    return float(np.mean(np.asarray(truth) == np.asarray(prediction)))


def mean_accuracy(videos: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> float:
    """The accuracy of each video's (truth, prediction), in percent, averaged over the videos."""
    return float(100 * np.mean([right_share(truth, prediction) for truth, prediction in videos]))


def edit_score(truth: Labels, prediction: Labels) -> float:
    """Segmental edit score of one video: 1 - Levenshtein(segments) / max(number of segments), in percent.

    Source: Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection", CVPR 2017.
    """
    true_phases, predicted_phases = truth[segments(truth)[0]], prediction[segments(prediction)[0]]
    longest = max(len(true_phases), len(predicted_phases))
    return 100 * (1 - _levenshtein(true_phases, predicted_phases) / longest)


def overlap_f1(truth: Labels, prediction: Labels, overlap_percent: float) -> float:
    """Segmental F1@k of one video, in percent.

    Each predicted segment belongs to the true segment of its phase that it overlaps most (by intersection over union).
    A true segment is found if one of its predicted segments reaches k; any further one counts as a false positive.

    Source: Lea et al., CVPR 2017; here per video, where action segmentation often pools the counts of all videos.
    """
    (true_starts, true_ends), (starts, ends) = segments(truth), segments(prediction)
    intersection = np.minimum.outer(ends, true_ends) - np.maximum.outer(starts, true_starts)
    union = np.maximum.outer(ends, true_ends) - np.minimum.outer(starts, true_starts)
    same_phase = np.equal.outer(prediction[starts], truth[true_starts])
    iou = np.where(same_phase, np.maximum(intersection, 0) / union, 0)  # exact wherever segments meet
    reached = iou.max(axis=1) >= overlap_percent / 100
    num_found = len(np.unique(iou.argmax(axis=1)[reached]))
    return 200 * num_found / (len(starts) + len(true_starts))


def segments(labels: Labels) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Starts and (exclusive) ends of the runs of equal labels in a sequence of at least one frame."""
    bounds = np.concatenate(([0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]))
    return bounds[:-1], bounds[1:]


def relaxed(truth: Labels, prediction: Labels, *, num_phases: int, fps: float, relaxation: Relaxation) -> VideoScores:
    """Metrics that forgive confusing a phase with its neighbours within 10 s of a true transition.

    This is the MATLAB evaluation with which numbers on Cholec80 and M2CAI16 are published. The script finds forgiven
    frames in the last 10 s of a segment, but then forgives those at the same positions counted from the segment's
    start: `relaxed_official` does so too, `relaxed_fixed` forgives the end.

    Where the truth is unknown (-1, a hole), nothing counts and nothing is forgiven. A hole neither ends a segment nor
    starts one: a phase that goes on after it is one segment, and the 10 s pass in the hole, too.

    A phase that the ground truth lacks is undefined. As forgiven frames count as hits of both phases, a value can
    exceed 100; it is cut to 100, and so is the infinite precision of a phase never predicted but forgiven.

    Args:
        truth: (num_frames,) ground truth, -1 where it is unknown.
        prediction: (num_frames,) predicted phases.
        num_phases: number of phases n; the last two and the last four follow rules of their own, and where there are
            fewer, all of them do.
        fps: frame rate of the rows. The published numbers come from 25 for rows at 5 fps, which is a window of 50 s.
        relaxation: whether to keep the script's slip.
    """
    known = truth >= 0
    _check(truth[known], prediction[known], num_phases)
    right = _relaxed_hits(truth, prediction, num_phases, fps, relaxation)[known]
    truth, prediction = truth[known], prediction[known]
    phases = np.arange(num_phases)[:, None]
    is_true, is_predicted = truth == phases, prediction == phases
    num_true, num_predicted = is_true.sum(axis=1), is_predicted.sum(axis=1)
    union = is_true | is_predicted
    hits = (union & right).sum(axis=1)
    per_phase = {
        "precision": _percent(hits, num_predicted),
        "recall": _percent(hits, num_true),
        "jaccard": _percent(hits, union.sum(axis=1)),
    }
    cut = {name: np.where(num_true == 0, np.nan, np.minimum(scores, 100)) for name, scores in per_phase.items()}
    return VideoScores(whole={"accuracy": 100 * float(right.mean())}, per_phase=cut)


def summarise_strict(videos: Sequence[VideoScores], *, std_of_one: float = np.nan) -> dict[str, Summary]:
    """Means of strict metrics over videos; of a phase's metrics over the videos, then the phases, that define them."""
    return _summarise(videos, needs_every_phase=(), std_of_one=std_of_one)


def summarise_relaxed(videos: Sequence[VideoScores], *, std_of_one: float = np.nan) -> dict[str, Summary]:
    """Means of relaxed metrics as the published script takes them.

    Recall and Jaccard are undefined if any phase occurs in no ground truth; precision leaves such a phase out.
    """
    return _summarise(videos, needs_every_phase=("recall", "jaccard"), std_of_one=std_of_one)


def mean_over_defined(values: Scores, axis: int | None = None) -> npt.NDArray[np.float64]:
    """The mean over an axis of the values that are not NaN; NaN where there is none."""
    defined = ~np.isnan(values)
    return _divide(np.where(defined, values, 0).sum(axis=axis), defined.sum(axis=axis))


def _check(truth: Labels, prediction: Labels, num_phases: int) -> None:
    assert truth.shape == prediction.shape == (len(truth),), "a sequence has one prediction per frame"
    assert len(truth) > 0, "a sequence has at least one frame"
    for labels in (truth, prediction):
        assert 0 <= labels.min() <= labels.max() < num_phases, "unlabelled frames are taken out by the caller"


def _divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The quotient, NaN for 0/0 and infinite for other divisions by zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.true_divide(numerator, denominator))


def _percent(part: npt.NDArray[np.integer], whole: npt.NDArray[np.integer]) -> Scores:
    return 100 * _divide(part, whole)


def _absent_rule(
    absent: AbsentPhase, *, is_absent: npt.NDArray[np.bool_], is_predicted: npt.NDArray[np.bool_]
) -> Callable[[Scores], Scores]:
    """The function that a convention applies to a metric's scores."""
    if absent == "undefined_if_empty":
        return lambda scores: scores
    if absent == "undefined_if_absent":
        return lambda scores: np.where(is_absent, np.nan, scores)
    return lambda scores: np.where(is_absent, np.where(is_predicted, 0.0, 100.0), scores)


def _levenshtein(first: Labels, second: Labels) -> int:
    """Least number of insertions, deletions and substitutions that turn one sequence into the other."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        previous, row = row, [i]
        for j, b in enumerate(second, start=1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + int(a != b)))
    return row[-1]


def _relaxed_hits(
    truth: Labels, prediction: Labels, num_phases: int, fps: float, relaxation: Relaxation
) -> npt.NDArray[np.bool_]:
    """(num_frames,): whether each frame is right, or forgiven; no frame of a hole is."""
    window = int(RELAXED_SECONDS * fps + 1e-9)
    known = np.flatnonzero(truth >= 0)
    difference = np.full(len(truth), num_phases + 2)  # in holes: more than any rule forgives
    difference[known] = prediction[known].astype(np.int64) - truth[known]
    right: npt.NDArray[np.bool_] = difference == 0
    starts, ends = segments(truth[known])
    for start, end in zip(known[starts], known[ends - 1] + 1, strict=True):
        phase, width = int(truth[start]), min(window, int(end - start))
        late_by = (-1, -2) if phase >= num_phases - 2 else (-1,)
        early_by = (1, 2) if phase >= num_phases - 4 else (1,)
        first, last = slice(start, start + width), slice(end - width, end)
        right[first] |= np.isin(difference[first], late_by)
        right[first if relaxation == "relaxed_official" else last] |= np.isin(difference[last], early_by)
    return right


def _summarise(
    videos: Sequence[VideoScores], *, needs_every_phase: Sequence[str], std_of_one: float
) -> dict[str, Summary]:
    summaries = {}
    for name in videos[0].whole:
        summaries[name] = _summary(np.array([video.whole[name] for video in videos]), "videos", std_of_one)
    for name in videos[0].per_phase:
        phases = mean_over_defined(np.stack([video.per_phase[name] for video in videos]), axis=0)
        defined = phases if name in needs_every_phase else phases[~np.isnan(phases)]
        summaries[name] = _summary(defined, "phases", std_of_one)
    return summaries


def _summary(values: Scores, over: Literal["videos", "phases"], std_of_one: float) -> Summary:
    mean = float(values.mean()) if len(values) > 0 else np.nan
    if len(values) == 1 and not np.isnan(values[0]):
        return Summary(mean=mean, std=std_of_one, over=over)
    std = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return Summary(mean=mean, std=std, over=over)
