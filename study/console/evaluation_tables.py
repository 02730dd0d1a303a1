"""Tables of an evaluation of predictions, and the same as a record for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from study.analysis.comparisons import signed
from study.analysis.paired_tests import Comparison
from study.analysis.scored_folder import ScoredFolder
from study.console.terminal import new_table
from study.home.text import duration
from trainers.artifacts.evaluation import PROTOCOL_TITLES

Titled = tuple[str, Table]
UNDEFINED = "–"
METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "jaccard": "Jaccard",
    "f1": "F1",
    "edit": "edit",
    "f1@10": "F1@10",
    "f1@25": "F1@25",
    "f1@50": "F1@50",
}
"""In the order of tables."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation as it is shown.

    Attributes:
        scored: the scores of the predictions.
        against: those of the folder that they are compared with.
        comparisons: protocol -> metric -> paired comparison.
        settings: what the scores depend on, by name.
        notes: whole sentences.
    """

    scored: ScoredFolder
    against: ScoredFolder | None
    comparisons: Mapping[str, Mapping[str, Comparison]]
    settings: Mapping[str, object]
    notes: Sequence[str]


def evaluation_record(evaluated: Evaluated) -> dict[str, Any]:
    """The evaluation with all digits; undefined values are None."""
    against = evaluated.against
    return {
        **evaluated.settings,
        **_folder_record(evaluated.scored),
        "against": None if against is None else {"predictions": against.folder, **_folder_record(against)},
        "comparisons": {
            protocol: {metric: _comparison_record(each) for metric, each in metrics.items()}
            for protocol, metrics in evaluated.comparisons.items()
        },
        "notes": list(evaluated.notes),
    }


def _folder_record(scored: ScoredFolder) -> dict[str, Any]:
    return {
        "num_videos": scored.num_videos,
        "num_frames": scored.num_frames,
        "seconds": scored.seconds,
        "protocols": {
            protocol: {
                "summary": summary,
                "per_phase": scored.phases(protocol),
                "per_video": scored.videos(protocol),
                "per_video_and_phase": scored.videos_and_phases(protocol),
            }
            for protocol, summary in scored.summary.items()
        },
    }


def _comparison_record(comparison: Comparison) -> dict[str, Any]:
    return {
        "difference": comparison.mean_difference if comparison.num_videos else None,
        "interval": comparison.interval,
        "p_value": comparison.p_value,
        "p_value_after_holm": comparison.adjusted_p_value,
        "verdict": comparison.verdict,
        "num_videos": comparison.num_videos,
        "remarks": list(comparison.remarks),
    }


def evaluation_tables(evaluated: Evaluated) -> list[Titled]:
    """The summary, a table per video and per phase for every protocol, and the comparison, each with its title."""
    scored = evaluated.scored
    tables = [summary_table(scored)]
    for protocol in scored.summary:
        tables += [per_video_table(scored, protocol), per_phase_table(scored, protocol)]
    if evaluated.against is not None:
        tables.append(summary_table(evaluated.against))
        tables += [comparison_table(evaluated, protocol) for protocol in evaluated.comparisons]
    return tables


def summary_table(scored: ScoredFolder) -> Titled:
    """The metrics under every protocol, to four decimals, each ± with what it is taken over."""
    videos = "1 video" if scored.num_videos == 1 else f"{scored.num_videos} videos"
    title = f"{scored.folder}: {videos} of {duration(scored.seconds)} in all, {scored.num_frames} labelled rows"
    table = new_table("metric", "± (n−1)")
    for protocol in scored.summary:
        table.add_column(PROTOCOL_TITLES[protocol], justify="right")
    for metric, words in METRICS.items():
        entries = [summary.get(metric) for summary in scored.summary.values()]
        over = next((entry["over"] for entry in entries if entry), None)
        cells = (_spread(entry["mean"], entry["std"], 4) if entry else "" for entry in entries)
        if over:
            table.add_row(words, f"over {over}", *cells)
    return title, table


def per_video_table(scored: ScoredFolder, protocol: str) -> Titled:
    """The metrics of every video; those of phases as their mean over the phases that define them."""
    videos = scored.videos(protocol)
    metrics = [metric for metric in METRICS if metric in scored.summary[protocol]]
    table = new_table("video")
    for metric in metrics:
        table.add_column(METRICS[metric], justify="right")
    for video, values in videos.items():
        table.add_row(escape(video), *(_text(values[metric], 2) for metric in metrics))
    return f"per video, {PROTOCOL_TITLES[protocol]}", table


def per_phase_table(scored: ScoredFolder, protocol: str) -> Titled:
    """The metrics of every phase: mean ± standard deviation over the videos that define them."""
    phases = scored.phases(protocol)
    metrics = [metric for metric in METRICS if metric in next(iter(phases.values()))]
    table = new_table("phase")
    for metric in metrics:
        table.add_column(METRICS[metric], justify="right")
    table.add_column("videos", justify="right")
    for phase, entries in phases.items():
        cells = (_spread(entries[metric]["mean"], entries[metric]["std"], 2) for metric in metrics)
        table.add_row(escape(phase), *cells, str(entries["recall"]["videos"]))
    return f"per phase, {PROTOCOL_TITLES[protocol]}: mean ± standard deviation (n−1) over videos", table


def comparison_table(evaluated: Evaluated, protocol: str) -> Titled:
    """Paired differences over videos under one protocol: a family of tests."""
    assert evaluated.against is not None, "there is a folder to compare with"
    title = (
        f"{evaluated.scored.folder} minus {evaluated.against.folder}, {PROTOCOL_TITLES[protocol]}, paired over videos"
    )
    table = new_table("metric")
    for header in ("difference", "95 % interval (t, widened for skew)", "Wilcoxon p", "p after Holm", "videos"):
        table.add_column(header, justify="right")
    table.add_column("verdict")
    for metric, comparison in evaluated.comparisons[protocol].items():
        table.add_row(METRICS[metric], *_comparison_cells(comparison))
    return title, table


def _comparison_cells(comparison: Comparison) -> list[str]:
    if not comparison.num_videos:
        return [UNDEFINED] * 4 + ["0", UNDEFINED]
    interval = comparison.interval
    return [
        signed(comparison.mean_difference),
        f"{signed(interval[0])} … {signed(interval[1])}" if interval else UNDEFINED,
        _p_value(comparison.p_value),
        _p_value(comparison.adjusted_p_value),
        str(comparison.num_videos),
        comparison.verdict,
    ]


def _spread(mean: float | None, std: float | None, digits: int) -> str:
    return UNDEFINED if mean is None else f"{_text(mean, digits)} ± {_text(std, digits)}"


def _text(value: float | None, digits: int) -> str:
    return UNDEFINED if value is None else f"{value:.{digits}f}"


def _p_value(value: float | None) -> str:
    return "< 0.0001" if value is not None and value < 0.0001 else _text(value, 4)
