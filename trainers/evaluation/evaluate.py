"""Evaluation of stored predictions under every protocol: the last stage of a trial."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.artifacts.evaluation import PerPhaseRow, PerVideoRow, SummaryEntry, write_summary, write_values
from trainers.artifacts.predictions import VideoPredictions, read_predictions
from trainers.evaluation import metrics
from trainers.evaluation.metrics import AbsentPhase, Labels, Relaxation, Summary, VideoScores
from trainers.fields import Rate
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class ScoredProtocol:
    """Scores of a set of videos under one protocol."""

    videos: Mapping[str, VideoScores]
    summary: Mapping[str, Summary]


@dataclass(frozen=True, kw_only=True)
class Evaluate(Stage):
    """Scores predictions of phases; frames whose truth is unknown do not count.

    The artifact holds

    - `summary.json`: by protocol and metric the mean, the standard deviation, and whether that one is over videos
      or phases; `num_videos`, `num_frames` (the ones that count) and `phases`. Undefined values are null, such as the
      standard deviation over a single video.
    - `per_video.parquet` and `per_phase.parquet`: the values that these are means of.

    The protocols are `strict`, `relaxed_fixed`, `relaxed_official` and, where the frame classifier's own predictions
    are known, `framewise`: the strict metrics of those.

    Attributes:
        predictions: the stage whose artifact holds the predictions.
        fps: frame rate of the predictions' rows.
        relaxed_fps: frame rate that the relaxed window of 10 s assumes, where it is not `fps`. The authors' code takes
            25 for rows at 5 fps.
        phases: names of the phases, in index order.
        absent: how a phase that a video's ground truth lacks counts in the strict metrics.
    """

    predictions: Stage
    fps: Rate
    relaxed_fps: Rate | None = None
    phases: tuple[str, ...]
    absent: AbsentPhase = "undefined_if_absent"

    def run(self, work: Work) -> None:
        folder = work.inputs["predictions"]
        videos = [self._labelled(video, folder) for video in read_predictions(folder)]
        if not videos:
            raise InputError(f"{folder} holds no predictions: there is nothing to evaluate")
        protocols = self._protocols(videos)
        write_summary(
            work.output,
            {name: {metric: _entry(each) for metric, each in p.summary.items()} for name, p in protocols.items()},
            num_videos=len(videos),
            num_frames=sum(len(video.frames) for video in videos),
            phases=self.phases,
        )
        write_values(work.output, _per_video_rows(protocols), _per_phase_rows(protocols, self.phases))

    def expected_seconds(self) -> float:
        return 0.1

    @property
    def std_of_one(self) -> float:
        """Standard deviation over a single video or phase: undefined; subclasses change it."""
        return math.nan

    def _labelled(self, video: VideoPredictions, folder: Path) -> VideoPredictions:
        """The rows of a video whose truth is known, once all labels are found to name a phase."""
        known = video.truth >= 0
        if not known.any():
            raise InputError(f"{folder}: {video.video} has no labelled frame; leave it out of the test videos")
        labelled = video.rows(known)
        for labels in (labelled.truth, labelled.prediction, labelled.framewise):
            unknown = set() if labels is None else set(labels.tolist()) - set(range(len(self.phases)))
            if unknown:
                place, last = f"{folder}: {video.video}", len(self.phases) - 1
                raise InputError(f"{place} has phase {min(unknown)}, but Evaluate.phases names only 0 to {last}")
        return labelled

    def _protocols(self, videos: Sequence[VideoPredictions]) -> dict[str, ScoredProtocol]:
        protocols = {
            "strict": self._summarised({v.video: self._strict(v.truth, v.prediction) for v in videos}),
            "relaxed_fixed": self._relaxed(videos, "relaxed_fixed"),
            "relaxed_official": self._relaxed(videos, "relaxed_official"),
        }
        framewise = {v.video: self._strict(v.truth, v.framewise) for v in videos if v.framewise is not None}
        return protocols | ({"framewise": self._summarised(framewise)} if framewise else {})

    def _strict(self, truth: Labels, prediction: Labels) -> VideoScores:
        return metrics.strict(truth, prediction, num_phases=len(self.phases), absent=self.absent)

    def _relaxed(self, videos: Sequence[VideoPredictions], relaxation: Relaxation) -> ScoredProtocol:
        fps = self.fps if self.relaxed_fps is None else self.relaxed_fps
        scores = {
            v.video: metrics.relaxed(v.truth, v.prediction, num_phases=len(self.phases), fps=fps, relaxation=relaxation)
            for v in videos
        }
        summary = metrics.summarise_relaxed(list(scores.values()), std_of_one=self.std_of_one)
        return ScoredProtocol(videos=scores, summary=summary)

    def _summarised(self, scores: Mapping[str, VideoScores]) -> ScoredProtocol:
        summary = metrics.summarise_strict(list(scores.values()), std_of_one=self.std_of_one)
        return ScoredProtocol(videos=scores, summary=summary)


def _entry(summary: Summary) -> SummaryEntry:
    return {"mean": _or_null(summary.mean), "std": _or_null(summary.std), "over": summary.over}


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _per_video_rows(protocols: Mapping[str, ScoredProtocol]) -> Iterator[PerVideoRow]:
    for name, protocol in protocols.items():
        for video, scores in protocol.videos.items():
            means = {metric: float(metrics.mean_over_defined(values)) for metric, values in scores.per_phase.items()}
            for metric, value in {**scores.whole, **means}.items():
                yield {"protocol": name, "video": video, "metric": metric, "value": _or_null(value)}


def _per_phase_rows(protocols: Mapping[str, ScoredProtocol], phases: Sequence[str]) -> Iterator[PerPhaseRow]:
    for name, protocol in protocols.items():
        for video, scores in protocol.videos.items():
            for metric, values in scores.per_phase.items():
                row: PerVideoRow = {"protocol": name, "video": video, "metric": metric, "value": None}
                for phase, value in zip(phases, values, strict=True):
                    yield {**row, "phase": phase, "value": _or_null(value)}
