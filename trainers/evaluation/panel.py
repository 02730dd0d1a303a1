"""Panel of metrics: scores of a set of videos under every protocol, and the rows that artifacts hold of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainers.artifacts.evaluation import FRAMEWISE, PROTOCOLS, STRICT, PerPhaseRow, PerVideoRow, SummaryEntry
from trainers.artifacts.predictions import VideoPredictions
from trainers.evaluation import metrics
from trainers.evaluation.metrics import AbsentPhase, Labels, Relaxation, Summary, VideoScores

RELAXATIONS: Mapping[str, Relaxation] = {
    "relaxed_fixed": "relaxed_fixed",
    "relaxed_official": "relaxed_official",
}


@dataclass(frozen=True, kw_only=True)
class ScoredProtocol:
    """Scores of a set of videos under one protocol."""

    videos: Mapping[str, VideoScores]
    summary: Mapping[str, Summary]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rules by which predictions are scored.

    Attributes:
        num_phases: number of phases.
        relaxed_fps: frame rate that the relaxed window of 10 s assumes.
        absent: how a phase that a video's ground truth lacks counts in the strict metrics.
        std_of_one: standard deviation over a single video or phase.
    """

    num_phases: int
    relaxed_fps: float
    absent: AbsentPhase = "undefined_if_absent"
    std_of_one: float = math.nan

    def scored(self, videos: Sequence[VideoPredictions]) -> dict[str, ScoredProtocol]:
        """The scores under every protocol, `framewise` among them where the frame classifier's phases are known.

        Args:
            videos: each with a labelled frame, and with predictions that name a phase wherever there is a label.
        """
        protocols = {name: self.scored_by(name, videos) for name in PROTOCOLS}
        framewise = {v.video: self._strict(v.truth, v.framewise) for v in videos if v.framewise is not None}
        return protocols | ({FRAMEWISE: self._summarised(framewise)} if framewise else {})

    def scored_by(self, protocol: str, videos: Sequence[VideoPredictions]) -> ScoredProtocol:
        """The scores under one of `PROTOCOLS`."""
        if protocol == STRICT:
            return self._summarised({v.video: self._strict(v.truth, v.prediction) for v in videos})
        scores = {v.video: self._relaxed(v, RELAXATIONS[protocol]) for v in videos}
        summary = metrics.summarise_relaxed(list(scores.values()), std_of_one=self.std_of_one)
        return ScoredProtocol(videos=scores, summary=summary)

    def _strict(self, truth: Labels, prediction: Labels) -> VideoScores:
        known = truth >= 0
        return metrics.strict(truth[known], prediction[known], num_phases=self.num_phases, absent=self.absent)

    def _relaxed(self, video: VideoPredictions, relaxation: Relaxation) -> VideoScores:
        return metrics.relaxed(
            video.truth, video.prediction, num_phases=self.num_phases, fps=self.relaxed_fps, relaxation=relaxation
        )

    def _summarised(self, scores: Mapping[str, VideoScores]) -> ScoredProtocol:
        summary = metrics.summarise_strict(list(scores.values()), std_of_one=self.std_of_one)
        return ScoredProtocol(videos=scores, summary=summary)


def summary_entry(summary: Summary) -> SummaryEntry:
    """A summary as artifacts hold it: undefined values are None."""
    return {"mean": _or_null(summary.mean), "std": _or_null(summary.std), "over": summary.over}


def per_video_rows(protocols: Mapping[str, ScoredProtocol]) -> Iterator[PerVideoRow]:
    """Every video's metrics; those of phases as their mean over the phases that define them."""
    for name, protocol in protocols.items():
        for video, scores in protocol.videos.items():
            means = {metric: float(metrics.mean_over_defined(values)) for metric, values in scores.per_phase.items()}
            for metric, value in {**scores.whole, **means}.items():
                yield {"protocol": name, "video": video, "metric": metric, "value": _or_null(value)}


def per_phase_rows(protocols: Mapping[str, ScoredProtocol], phases: Sequence[str]) -> Iterator[PerPhaseRow]:
    """Every video's metrics of each phase."""
    for name, protocol in protocols.items():
        for video, scores in protocol.videos.items():
            for metric, values in scores.per_phase.items():
                row: PerVideoRow = {"protocol": name, "video": video, "metric": metric, "value": None}
                for phase, value in zip(phases, values, strict=True):
                    yield {**row, "phase": phase, "value": _or_null(value)}


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
