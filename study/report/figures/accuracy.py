"""Accuracies of all rows of a study, beside the published ones."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from study.analysis.results import Results, RowResult
from study.report.figures.style import FAINT, INK, draw, row_colours, short_title


def accuracy_figure(results: Results) -> Figure:
    """Accuracies of all rows, beside the published ones."""
    return draw(lambda figure: paint_accuracies(figure.subplots(), results), 860, 84 + 44 * len(results.rows))


def paint_accuracies(axes: Axes, results: Results) -> None:
    """One line per row: every test video as a dot, the mean as a bar, the published mean as a diamond."""
    colour = row_colours(results.study)
    for line, result in enumerate(results.rows):
        _paint_videos(axes, line, result, colour[result.row.name])
        published = results.study.published.rows.get(result.row.name, {}) if results.study.published else {}
        if "accuracy" in published:
            mean = published["accuracy"][0]
            axes.plot(mean, line, marker="D", markersize=6.5, color="white", markeredgecolor=INK, zorder=4)
            _label(axes, f"{mean:.1f}", mean, line, above=True)
    axes.set_yticks(range(len(results.rows)), [short_title(result.row.title) for result in results.rows])
    axes.set_ylim(len(results.rows) - 0.4, -0.6)
    diamonds = "   ◇ published mean" if results.study.published else ""
    axes.set_xlabel(f"accuracy on test videos (%), strict   ·  dot: one video   |  bar: mean{diamonds}")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)


def _paint_videos(axes: Axes, line: int, result: RowResult, colour: str) -> None:
    score = result.score("strict", "accuracy")
    if score is None:
        axes.text(0.01, line, "not computed", transform=axes.get_yaxis_transform(), va="center", color=FAINT)
        return
    values = [value for videos in result.values("accuracy").values() for value in videos.values() if value is not None]
    spread = 0.16 * np.cos(np.pi * np.arange(len(values)))  # neighbours alternate, so that dots do not hide each other
    axes.plot(values, line + spread, "o", color=colour, alpha=0.4, markersize=4, markeredgewidth=0)
    axes.plot([score.mean] * 2, [line - 0.32, line + 0.32], color=colour, linewidth=3, solid_capstyle="butt", zorder=3)
    _label(axes, f"{score.mean:.1f}", score.mean, line + 0.28, above=False)


def _label(axes: Axes, text: str, x: float, y: float, *, above: bool) -> None:
    """A small number over or under a mark, readable on top of dots."""
    offset, side = ((0, 5), "bottom") if above else ((0, -2), "top")
    halo = [withStroke(linewidth=2.5, foreground="white")]
    look: dict[str, Any] = {"ha": "center", "va": side, "fontsize": 7, "path_effects": halo, "zorder": 5}
    axes.annotate(text, (x, y), offset, textcoords="offset points", **look)
