"""Accuracy against one hyperparameter, a panel per dataset."""

import statistics
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from study.analysis.results import Results
from study.core.study import Study
from study.report.curve_points import SEED, Point, levels, line_of, lines
from study.report.figures import legends
from study.report.figures.style import draw, row_colours

LINES_APART = 4.0
"""Horizontal shift between neighbouring lines, in typographic points."""
MOST_APART = 24.0
"""That of the first and the last of many lines."""
LINES_WITHIN = 4
"""Lines of a legend that a figure's height has room for."""


def curve_figure(by_dataset: Mapping[str, Results]) -> Figure:
    """One panel per dataset, accuracy upwards on a common scale; one legend for the lines of all panels."""
    declared = _colours_by_title(next(iter(by_dataset.values())).study)
    width = 640 if len(by_dataset) == 1 else 440 * len(by_dataset)
    shown = {title for results in by_dataset.values() for title in (*lines(results), *levels(results)) if title}
    titles = [title for title in declared if title in shown]

    def paint(figure: Figure) -> None:
        handles: dict[str, Any] = {}
        panels = figure.subplots(1, len(by_dataset), squeeze=False, sharey=True)[0]
        for axes, (dataset, results) in zip(panels, by_dataset.items(), strict=True):
            paint_curve(axes, results)
            axes.set_title(dataset)
            drawn, labels = axes.get_legend_handles_labels()
            handles |= dict(zip(labels, drawn, strict=True))
        panels[0].set_ylabel("accuracy on test videos (%), strict")
        if titles:
            look: dict[str, Any] = {"ncols": legends.num_columns(titles, width), "fontsize": legends.FONT_SIZE}
            figure.legend([handles[title] for title in titles], titles, loc="outside upper left", **look)

    further = max(0, legends.num_lines(titles, width) - LINES_WITHIN)
    return draw(paint, width, 380 + legends.LINE_PX * further)


def paint_curve(axes: Axes, results: Results) -> None:
    """Every line of one dataset's results, and the levels below or above them."""
    curve = results.study.curve
    assert curve is not None, "only studies with a curve are painted"
    drawn, colour = lines(results), _colours_by_title(results.study)
    apart = min(LINES_APART, MOST_APART / max(1, len(drawn) - 1))
    for index, (title, points) in enumerate(drawn.items()):
        aside = apart * (index - (len(drawn) - 1) / 2)
        _paint_line(axes, points, title, colour[title], aside, connected=curve.axis != SEED)
    for title, level in levels(results).items():
        axes.axhline(level, color=colour[title], linestyle="--", linewidth=1.2, label=title)
    if curve.log:
        axes.set_xscale("log")
    values = sorted({point.x for points in drawn.values() for point in points})
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{value:g}" for value in values]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(curve.title)
    axes.grid(visible=True)
    axes.set_axisbelow(True)


def _colours_by_title(study: Study) -> dict[str, str]:
    """The colour of every line and level that a study declares, computed or not, in the order of its rows."""
    curve, colour = study.curve, row_colours(study)
    assert curve is not None, "only studies with a curve have lines"
    found: dict[str, str] = {}
    for row in study.all_rows():
        line = line_of(row, curve)
        found.setdefault(row.title if line is None else line, colour[row.name])
    return found


def _paint_line(axes: Axes, points: list[Point], title: str, colour: str, aside: float, *, connected: bool) -> None:
    """Points and bars, shifted by `aside` typographic points, so that lines do not hide each other."""
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes are painted in a figure"
    x, y = [point.x for point in points], [point.y for point in points]
    spread = [point.spread or 0.0 for point in points] if any(point.spread is not None for point in points) else None
    axes.errorbar(
        x,
        y,
        yerr=spread,
        label=title or None,
        transform=axes.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans),
        color=colour,
        marker="o",
        markersize=4.5,
        linestyle="-" if connected else "none",
        linewidth=1.8,
        elinewidth=0.9,
        capsize=2.5,
        alpha=0.9,
    )
    reach = [(point.x, point.y + side * (point.spread or 0.0)) for point in points for side in (-1, 1)]
    axes.update_datalim(reach)  # what is moved aside does not count by itself
    axes.autoscale_view()
    if not connected:
        axes.axhline(statistics.fmean(y), color=colour, linewidth=1.2)
