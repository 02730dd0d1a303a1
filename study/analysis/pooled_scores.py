"""Scores of a cross-validation: its folds together, every video where it is tested; the mean over drawings."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from study.core.store import Store
from trainers.artifacts.evaluation import PROTOCOLS, STRICT, Scores, SummaryEntry, read_phase_values
from trainers.artifacts.history import Curves
from trainers.evaluation import metrics
from trainers.evaluation.metrics import VideoScores
from trainers.names import Fold

RELAXED = tuple(protocol for protocol in PROTOCOLS if protocol != STRICT)
PhaseValues = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float | None]]]]
"""Values by protocol, metric, video and phase."""


def pooled_scores(folds: Mapping[Fold, tuple[Scores, str]], store: Store) -> Scores:
    """The scores of the folds of a row at one seed; folds that are missing lack their videos.

    Args:
        folds: the scores of every fold, and the key of their artifact; at least one.
        store: the store of the artifacts.
    """
    drawings: dict[int, list[tuple[Scores, PhaseValues, float]]] = {}
    for fold, (scores, stage_key) in folds.items():
        std_of_one = 0.0 if store.manifest(stage_key).config.get("zero_std_of_one") else math.nan
        values = read_phase_values(store.check(stage_key))
        drawings.setdefault(fold.repeat, []).append((scores, values, std_of_one))
    return _mean([_together(parts) for parts in drawings.values()])


def mean_curves(curves: Sequence[Curves]) -> Curves:
    """Curves of several folds as one: the mean over the folds that reached an epoch."""
    collected: dict[str, dict[int, list[float]]] = {}
    for each in curves:
        for metric, values in each.items():
            for epoch, value in values.items():
                collected.setdefault(metric, {}).setdefault(epoch, []).append(value)
    return {
        metric: {epoch: statistics.fmean(found) for epoch, found in sorted(values.items())}
        for metric, values in collected.items()
    }


def _together(parts: Sequence[tuple[Scores, PhaseValues, float]]) -> Scores:
    """The scores of the folds of one drawing, as if one evaluation had seen the videos of all."""
    first, _, std_of_one = parts[0]
    per_video = {
        protocol: {
            metric: {
                video: value for scores, _, _ in parts for video, value in scores.per_video[protocol][metric].items()
            }
            for metric in metrics_of
        }
        for protocol, metrics_of in first.per_video.items()
    }
    videos = {protocol: _video_scores(protocol, parts, first.phases) for protocol in first.summary}
    return Scores(
        summary={protocol: _summary(protocol, scores, std_of_one) for protocol, scores in videos.items()},
        per_video=per_video,
        per_phase=_phase_means(videos[STRICT], first.phases),
        phases=first.phases,
        num_videos=sum(scores.num_videos for scores, _, _ in parts),
        num_frames=sum(scores.num_frames for scores, _, _ in parts),
        fps=first.fps,
        absent=first.absent,
    )


def _video_scores(
    protocol: str, parts: Sequence[tuple[Scores, PhaseValues, float]], phases: Sequence[str]
) -> list[VideoScores]:
    """The scores of every video under a protocol, read back from what its evaluation left."""
    found = []
    for scores, values, _ in parts:
        whole = {name: each for name, each in scores.per_video[protocol].items() if name not in values[protocol]}
        for video in next(iter(scores.per_video[protocol].values())):
            found.append(
                VideoScores(
                    whole={name: _number(each[video]) for name, each in whole.items()},
                    per_phase={
                        name: np.array([_number(each[video][phase]) for phase in phases])
                        for name, each in values[protocol].items()
                    },
                )
            )
    return found


def _summary(protocol: str, videos: Sequence[VideoScores], std_of_one: float) -> dict[str, SummaryEntry]:
    summarise = metrics.summarise_relaxed if protocol in RELAXED else metrics.summarise_strict
    return {
        metric: {"mean": _or_none(each.mean), "std": _or_none(each.std), "over": each.over}
        for metric, each in summarise(videos, std_of_one=std_of_one).items()
    }


def _phase_means(videos: Sequence[VideoScores], phases: Sequence[str]) -> dict[str, dict[str, float | None]]:
    means = {
        metric: metrics.mean_over_defined(np.stack([video.per_phase[metric] for video in videos]), axis=0)
        for metric in videos[0].per_phase
    }
    return {metric: dict(zip(phases, map(_or_none, values.tolist()), strict=True)) for metric, values in means.items()}


def _mean(drawings: Sequence[Scores]) -> Scores:
    """The means over drawings of everything that is defined."""
    first = drawings[0]
    if len(drawings) == 1:
        return first
    videos = dict.fromkeys(video for each in drawings for video in each.per_video[STRICT]["accuracy"])
    return Scores(
        summary={
            protocol: {metric: _mean_entry([d.summary[protocol][metric] for d in drawings]) for metric in entries}
            for protocol, entries in first.summary.items()
        },
        per_video={
            protocol: {
                metric: {
                    video: _mean_of(d.per_video[protocol][metric].get(video) for d in drawings) for video in videos
                }
                for metric in values
            }
            for protocol, values in first.per_video.items()
        },
        per_phase={
            metric: {phase: _mean_of(d.per_phase[metric][phase] for d in drawings) for phase in values}
            for metric, values in first.per_phase.items()
        },
        phases=first.phases,
        num_videos=len(videos),
        num_frames=max(each.num_frames for each in drawings),
        fps=first.fps,
        absent=first.absent,
    )


def _mean_entry(entries: Sequence[SummaryEntry]) -> SummaryEntry:
    mean, std = (_mean_of(values) for values in ([e["mean"] for e in entries], [e["std"] for e in entries]))
    return {"mean": mean, "std": std, "over": entries[0]["over"]}


def _mean_of(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return statistics.fmean(defined) if defined else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
