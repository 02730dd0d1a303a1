"""Phase ribbons of one test video: the truth, and the predictions of every row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from study.analysis.results import Results, phase_title
from study.report.figures import legends
from study.report.figures.style import INK, draw, short_title
from trainers.artifacts.predictions import VideoPredictions

PHASE_COLOURS = ("#332288", "#ddcc77", "#cc6677", "#88ccee", "#117733", "#aa4499", "#44aa99", "#882255", "#999933")
"""Paul Tol's muted palette, in an order in which neighbouring phases differ clearly."""

LEGEND_PX, ABOVE_POINTS, LINES_WITHIN = 620, 16, 3
"""Least width of a legend of phases, room between it and a title, and lines of it that figures have room for."""


def ribbon_figure(
    results: Results, videos: Mapping[str, VideoPredictions], name: str, *, compact: bool = False
) -> Figure:
    """One test video: the truth, then the predictions of every row; `videos` is keyed by row name."""
    step, margin = (20, 62) if compact else (32, 104)
    scores = results.any_scores
    height = margin + step * (len(videos) + 1) + (further_px(scores.phases) if scores and not compact else 0)
    return draw(lambda figure: paint_ribbons(figure.subplots(), results, videos, name, legend=not compact), 880, height)


def paint_ribbons(
    axes: Axes, results: Results, videos: Mapping[str, VideoPredictions], name: str, *, legend: bool = True
) -> None:
    """Ribbons of phases over minutes, the truth on top; each row's accuracy on this video at its right.

    The truth is blank where it is unknown.
    """
    scores = results.any_scores
    assert scores is not None, "who has predictions has scores"
    titles = {result.row.name: result.row.title for result in results.rows}
    truth = next(iter(videos.values())).truth
    minutes = len(truth) / scores.fps / 60
    paint_ribbon(axes, 0, truth, scores.fps, height=0.9)
    for line, video in enumerate(videos.values(), start=1):
        paint_ribbon(axes, line + 0.25, video.prediction, scores.fps, height=0.74)
        axes.text(minutes, line + 0.25, f" {video.accuracy:.1f}", va="center", fontsize=8, color=INK)
    lines = [0.0, *(line + 1.25 for line in range(len(videos)))]
    axes.set_title(name, pad=title_pad(scores.phases) if legend else 6)
    axes.set_yticks(lines, ["truth", *(short_title(titles[row]) for row in videos)])
    axes.set_ylim(lines[-1] + 0.55, -0.6)
    axes.set_xlim(0, minutes)
    axes.set_xlabel("minutes")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if legend:
        paint_legend(axes, scores.phases)


def paint_legend(axes: Axes, phases: Sequence[str]) -> None:
    """The colours of the phases, above the axes."""
    titles = [phase_title(phase) for phase in phases]
    patches = [Patch(color=phase_colour(index), label=title) for index, title in enumerate(titles)]
    look: dict[str, Any] = {"handlelength": 1.0, "handleheight": 1.0, "columnspacing": 1.2, "borderpad": 0}
    look |= {"ncols": legends.num_columns(titles, LEGEND_PX), "fontsize": legends.FONT_SIZE}
    axes.legend(handles=patches, loc="lower left", bbox_to_anchor=(-0.01, 1.0), **look)


def title_pad(phases: Sequence[str]) -> float:
    """The distance of a title from axes that have the legend of the phases between them, in typographic points."""
    return ABOVE_POINTS + legends.LINE_POINTS * _num_lines(phases)


def further_px(phases: Sequence[str]) -> int:
    """The height that a figure needs in addition where phases are many."""
    return legends.LINE_PX * max(0, _num_lines(phases) - LINES_WITHIN)


def _num_lines(phases: Sequence[str]) -> int:
    return legends.num_lines([phase_title(phase) for phase in phases], LEGEND_PX)


def paint_ribbon(axes: Axes, line: float, labels: npt.NDArray[np.int8], fps: float, *, height: float) -> None:
    """One ribbon of phases over minutes; unlabelled rows are left white."""
    bounds = np.concatenate(([0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]))
    minutes = bounds / fps / 60
    phases = labels[bounds[:-1]]
    for phase in sorted(set(phases[phases >= 0].tolist())):
        chosen = np.flatnonzero(phases == phase)
        spans = [(float(minutes[i]), float(minutes[i + 1] - minutes[i])) for i in chosen]
        axes.broken_barh(spans, (line - height / 2, height), color=phase_colour(phase), linewidth=0)


def phase_colour(phase: int) -> str:
    """The colour of a phase."""
    return PHASE_COLOURS[phase % len(PHASE_COLOURS)]
