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

UNDEFINED = "–"
PROTOCOLS = {"strict": "strict", "relaxed_fixed": "relaxed, fixed", "relaxed_official": "relaxed, official"}
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


def evaluation_tables(evaluated: Evaluated) -> list[Table]:
    """The summary, a table per video and per phase for every protocol, and the comparison."""
    scored = evaluated.scored
    tables = [summary_table(scored)]
    for protocol in scored.summary:
        tables += [per_video_table(scored, protocol), per_phase_table(scored, protocol)]
    if evaluated.against is not None:
        tables.append(summary_table(evaluated.against))
        tables += [comparison_table(evaluated, protocol) for protocol in evaluated.comparisons]
    return tables


def summary_table(scored: ScoredFolder) -> Table:
    """The metrics under every protocol, to four decimals, each ± with what it is taken over."""
    videos = "1 video" if scored.num_videos == 1 else f"{scored.num_videos} videos"
    title = f"{scored.folder}: {videos} of {duration(scored.seconds)} in all, {scored.num_frames} labelled rows"
    table = _titled(title, "metric", "± (n−1)")
    for protocol in scored.summary:
        table.add_column(PROTOCOLS[protocol], justify="right")
    for metric, title in METRICS.items():
        entries = [summary.get(metric) for summary in scored.summary.values()]
        over = next((entry["over"] for entry in entries if entry), None)
        cells = (_spread(entry["mean"], entry["std"], 4) if entry else "" for entry in entries)
        if over:
            table.add_row(title, f"over {over}", *cells)
    return table


def per_video_table(scored: ScoredFolder, protocol: str) -> Table:
    """The metrics of every video; those of phases as their mean over the phases that define them."""
    videos = scored.videos(protocol)
    metrics = [metric for metric in METRICS if metric in scored.summary[protocol]]
    table = _titled(f"per video, {PROTOCOLS[protocol]}", "video")
    for metric in metrics:
        table.add_column(METRICS[metric], justify="right")
    for video, values in videos.items():
        table.add_row(escape(video), *(_text(values[metric], 2) for metric in metrics))
    return table


def per_phase_table(scored: ScoredFolder, protocol: str) -> Table:
    """The metrics of every phase: mean ± standard deviation over the videos that define them."""
    phases = scored.phases(protocol)
    metrics = [metric for metric in METRICS if metric in next(iter(phases.values()))]
    table = _titled(f"per phase, {PROTOCOLS[protocol]}: mean ± standard deviation over videos", "phase")
    for metric in metrics:
        table.add_column(METRICS[metric], justify="right")
    table.add_column("videos", justify="right")
    for phase, entries in phases.items():
        cells = (_spread(entries[metric]["mean"], entries[metric]["std"], 2) for metric in metrics)
        table.add_row(escape(phase), *cells, str(entries["recall"]["videos"]))
    return table


def comparison_table(evaluated: Evaluated, protocol: str) -> Table:
    """Paired differences over videos under one protocol: a family of tests."""
    assert evaluated.against is not None, "there is a folder to compare with"
    title = f"{evaluated.scored.folder} minus {evaluated.against.folder}, {PROTOCOLS[protocol]}, paired over videos"
    table = _titled(title, "metric")
    for header in ("difference", "95 % interval (BCa)", "Wilcoxon p", "p after Holm", "videos"):
        table.add_column(header, justify="right")
    table.add_column("verdict")
    for metric, comparison in evaluated.comparisons[protocol].items():
        table.add_row(METRICS[metric], *_comparison_cells(comparison))
    return table


def _comparison_cells(comparison: Comparison) -> list[str]:
    if not comparison.num_videos:
        return [UNDEFINED] * 4 + ["0", UNDEFINED]
    interval = comparison.interval
    return [
        signed(comparison.mean_difference),
        f"{signed(interval[0])} … {signed(interval[1])}" if interval else UNDEFINED,
        _text(comparison.p_value, 4),
        _text(comparison.adjusted_p_value, 4),
        str(comparison.num_videos),
        comparison.verdict,
    ]


def _titled(title: str, *headers: str) -> Table:
    table = new_table(*headers)
    table.title, table.title_justify, table.title_style = escape(title), "left", "bold"
    return table


def _spread(mean: float | None, std: float | None, digits: int) -> str:
    return UNDEFINED if mean is None else f"{_text(mean, digits)} ± {_text(std, digits)}"


def _text(value: float | None, digits: int) -> str:
    return UNDEFINED if value is None else f"{value:.{digits}f}"
