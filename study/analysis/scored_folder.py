"""Scores of a folder of predictions, and their comparison with those of another folder."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from study.analysis.paired_tests import UNTESTED, Comparison, compare, correct_family, seed_remark
from trainers.artifacts.evaluation import PerPhaseRow, PerVideoRow, SummaryEntry

COMPARED = ("accuracy", "precision", "recall", "jaccard")
"""Metrics that are compared under a protocol: one declared family."""
Videos = Mapping[str, Mapping[str, float | None]]
"""Values of one protocol by video and metric."""


class PhaseEntry(TypedDict):
    """A metric of a phase: mean and standard deviation (n-1) over the videos that define it, and how many do."""

    mean: float | None
    std: float | None
    videos: int


@dataclass(frozen=True, kw_only=True)
class ScoredFolder:
    """Scores of a folder's predictions, in percent; undefined values are None.

    Attributes:
        folder: the folder.
        num_videos: scored videos.
        num_frames: their labelled rows.
        seconds: how long all their rows last.
        summary: protocol -> metric -> mean, standard deviation, and over what that one is taken.
        per_video: a row per protocol, video and metric.
        per_phase: a row per protocol, video, phase and metric.
        std_of_one: protocol -> what the standard deviation of a single value is.
    """

    folder: str
    num_videos: int
    num_frames: int
    seconds: float
    summary: Mapping[str, Mapping[str, SummaryEntry]]
    per_video: Sequence[PerVideoRow]
    per_phase: Sequence[PerPhaseRow]
    std_of_one: Mapping[str, float | None]

    def videos(self, protocol: str) -> dict[str, dict[str, float | None]]:
        """The metrics of every video: video -> metric -> value."""
        found: dict[str, dict[str, float | None]] = {}
        for row in self.per_video:
            if row["protocol"] == protocol:
                found.setdefault(row["video"], {})[row["metric"]] = row["value"]
        return found

    def videos_and_phases(self, protocol: str) -> dict[str, dict[str, dict[str, float | None]]]:
        """The metrics of every phase of every video: video -> phase -> metric -> value."""
        found: dict[str, dict[str, dict[str, float | None]]] = {}
        for row in self.per_phase:
            if row["protocol"] == protocol:
                of_video = found.setdefault(row["video"], {})
                of_video.setdefault(row["phase"], {})[row["metric"]] = row["value"]
        return found

    def phases(self, protocol: str) -> dict[str, dict[str, PhaseEntry]]:
        """The metrics of every phase over the videos that define them: phase -> metric -> entry."""
        values: dict[str, dict[str, list[float]]] = {}
        for row in self.per_phase:
            if row["protocol"] == protocol:
                defined = values.setdefault(row["phase"], {}).setdefault(row["metric"], [])
                defined += [] if row["value"] is None else [row["value"]]
        return {
            phase: {metric: self._entry(protocol, defined) for metric, defined in metrics.items()}
            for phase, metrics in values.items()
        }

    def _entry(self, protocol: str, values: list[float]) -> PhaseEntry:
        if not values:
            return {"mean": None, "std": None, "videos": 0}
        std = statistics.stdev(values) if len(values) > 1 else self.std_of_one[protocol]
        return {"mean": statistics.fmean(values), "std": std, "videos": len(values)}


def compare_folders(ours: ScoredFolder, theirs: ScoredFolder) -> dict[str, dict[str, Comparison]]:
    """Paired comparisons over videos, by protocol and metric; p-values are corrected over a protocol's metrics (Holm).

    A metric that no video of both folders defines belongs to the family, and has no numbers.
    """
    return {protocol: _family(ours.videos(protocol), theirs.videos(protocol)) for protocol in ours.summary}


def _family(ours: Videos, theirs: Videos) -> dict[str, Comparison]:
    return correct_family(
        {
            metric: _compared(*({v: each[metric] for v, each in side.items()} for side in (ours, theirs)))
            for metric in COMPARED
        }
    )


def _compared(ours: Mapping[str, float | None], theirs: Mapping[str, float | None]) -> Comparison:
    if not any(ours[video] is not None and theirs[video] is not None for video in ours.keys() & theirs.keys()):
        return UNTESTED
    found = compare({0: ours}, {0: theirs})
    return replace(found, remarks=tuple(remark for remark in found.remarks if remark != seed_remark(1)))
