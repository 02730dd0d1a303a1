"""Scores of a trial's predictions: `summary.json`, and the values it averages in two Parquet files."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

SUMMARY_NAME = "summary.json"
PER_VIDEO_NAME = "per_video.parquet"
PER_PHASE_NAME = "per_phase.parquet"
FILE_NAMES = (SUMMARY_NAME, PER_VIDEO_NAME, PER_PHASE_NAME)

STRICT = "strict"
PROTOCOLS = (STRICT, "relaxed_fixed", "relaxed_official")
"""The protocols that every evaluation has."""
PROTOCOL_TITLES = {"strict": "strict", "relaxed_fixed": "relaxed, fixed", "relaxed_official": "relaxed, official"}
FRAMEWISE = "framewise"
"""The strict metrics of the frame classifier's own predictions, where these are known."""

PER_VIDEO_SCHEMA = pa.schema(
    [("protocol", pa.string()), ("video", pa.string()), ("metric", pa.string()), ("value", pa.float64())]
)
"""value: percent, null where undefined. Metrics of phases appear as their mean over the phases that define them."""
PER_PHASE_SCHEMA = pa.schema(
    [
        ("protocol", pa.string()),
        ("video", pa.string()),
        ("phase", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)
"""value: percent, null where undefined."""


class SummaryEntry(TypedDict):
    """A metric over the videos, in percent: its mean and standard deviation (None: undefined), and over what."""

    mean: float | None
    std: float | None
    over: Literal["videos", "phases"]


Summaries = Mapping[str, Mapping[str, SummaryEntry]]
"""Entries by protocol and metric."""


class PerVideoRow(TypedDict):
    """A row of `per_video.parquet`."""

    protocol: str
    video: str
    metric: str
    value: float | None


class PerPhaseRow(PerVideoRow):
    """A row of `per_phase.parquet`."""

    phase: str


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of a trial's test videos, in percent; undefined values are None.

    Attributes:
        summary: protocol -> metric -> mean, standard deviation, and over what that one is taken.
        per_video: protocol -> metric -> video -> value.
        per_phase: metric of the strict protocol -> phase -> mean over the videos that define it.
        phases: names of the phases, in index order.
        num_videos: scored videos.
        num_frames: scored frames of all videos.
        fps: frame rate of the scored rows.
        absent: how a phase counts that a video's ground truth lacks.
    """

    summary: Summaries
    per_video: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    per_phase: Mapping[str, Mapping[str, float | None]]
    phases: tuple[str, ...]
    num_videos: int
    num_frames: int
    fps: float
    absent: str


def write_summary(
    folder: Path, summaries: Summaries, *, num_videos: int, num_frames: int, phases: Sequence[str]
) -> None:
    """Writes `summary.json`.

    Args:
        folder: the artifact of the evaluation.
        summaries: entries by protocol and metric.
        num_videos: scored videos.
        num_frames: scored frames of all videos.
        phases: names of the phases, in index order.
    """
    summary = {**summaries, "num_videos": num_videos, "num_frames": num_frames, "phases": list(phases)}
    (folder / SUMMARY_NAME).write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_values(folder: Path, per_video: Iterable[PerVideoRow], per_phase: Iterable[PerPhaseRow]) -> None:
    """Writes `per_video.parquet` and `per_phase.parquet`."""
    pq.write_table(pa.Table.from_pylist(list(per_video), schema=PER_VIDEO_SCHEMA), folder / PER_VIDEO_NAME)
    pq.write_table(pa.Table.from_pylist(list(per_phase), schema=PER_PHASE_SCHEMA), folder / PER_PHASE_NAME)


def read_scores(folder: Path, config: Mapping[str, Any]) -> Scores:
    """Reads the scores of an evaluation's artifact.

    Args:
        folder: the artifact.
        config: the evaluation's config, as the artifact's manifest holds it.
    """
    summary = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
    return Scores(
        summary={name: summary[name] for name in (*PROTOCOLS, FRAMEWISE) if name in summary},
        per_video=_read_per_video(folder / PER_VIDEO_NAME),
        per_phase=_read_per_phase(folder / PER_PHASE_NAME),
        phases=tuple(summary["phases"]),
        num_videos=summary["num_videos"],
        num_frames=summary["num_frames"],
        fps=config["fps"],
        absent=config["absent"],
    )


def read_mean_scores(folder: Path) -> dict[str, float]:
    """Reads the defined mean scores of an artifact by `test/PROTOCOL/METRIC`; none where it is no evaluation's."""
    if not (folder / SUMMARY_NAME).exists():
        return {}
    summary = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
    means = {
        f"test/{protocol}/{metric}": entry["mean"]
        for protocol in (*PROTOCOLS, FRAMEWISE)
        for metric, entry in summary.get(protocol, {}).items()
    }
    return {name: mean for name, mean in means.items() if mean is not None}


def read_phase_values(folder: Path) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
    """Reads every value of the metrics of phases: protocol -> metric -> video -> phase -> value."""
    values: dict[str, dict[str, dict[str, dict[str, float | None]]]] = {}
    for row in pq.read_table(folder / PER_PHASE_NAME).to_pylist():
        videos = values.setdefault(row["protocol"], {}).setdefault(row["metric"], {})
        videos.setdefault(row["video"], {})[row["phase"]] = row["value"]
    return values


def _read_per_video(path: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    values: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in pq.read_table(path).to_pylist():
        values.setdefault(row["protocol"], {}).setdefault(row["metric"], {})[row["video"]] = row["value"]
    return values


def _read_per_phase(path: Path) -> dict[str, dict[str, float | None]]:
    values: dict[str, dict[str, list[float]]] = {}
    for row in pq.read_table(path, filters=[("protocol", "=", STRICT)]).to_pylist():
        defined = values.setdefault(row["metric"], {}).setdefault(row["phase"], [])
        if row["value"] is not None:
            defined.append(row["value"])
    return {
        metric: {phase: statistics.fmean(defined) if defined else None for phase, defined in phases.items()}
        for metric, phases in values.items()
    }
