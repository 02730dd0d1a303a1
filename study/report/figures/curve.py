"""Accuracy against one hyperparameter: the points of a study's curve, what they say, and the figure of them."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from study.analysis.comparisons import place_of
from study.analysis.results import Results, RowResult
from study.core.study import Curve, Row, Study
from study.report.figures.study_figures import colours, draw

SEED = "seed"
"""The axis that is no hyperparameter."""
METRIC = "accuracy"
LINES_APART = 4.0
"""How far neighbouring lines are moved apart, in typographic points."""


@dataclass(frozen=True)
class Point:
    """Where a row stands: the axis, its strict accuracy in percent, and a standard deviation of that."""

    x: float
    y: float
    spread: float | None


def lines(results: Results) -> dict[str, list[Point]]:
    """The points of every line by the line's title, from left to right; the only line of a study has none."""
    curve = results.study.curve
    assert curve is not None, "only studies with a curve have lines"
    found: dict[str, list[Point]] = {}
    for result in results.rows:
        line = _line_of(result.row, curve)
        if line is not None:
            found.setdefault(line, []).extend(_by_seed(result) if curve.axis == SEED else _point(result, curve))
    return {title: sorted(points, key=lambda point: point.x) for title, points in found.items() if points}


def levels(results: Results) -> dict[str, float]:
    """The accuracies of the rows that the axis does not touch, by title."""
    curve = results.study.curve
    assert curve is not None, "only studies with a curve have levels"
    untouched = [r for r in results.rows if _line_of(r.row, curve) is None]
    return {r.row.title: score.mean for r in untouched if (score := r.score("strict", METRIC))}


def curve_sentences(results: Results) -> list[str]:
    """What the curve shows: where it is highest, which line leads where, or how far seeds lie apart."""
    curve = results.study.curve
    if curve is None:
        return []
    drawn = lines(results)
    if curve.axis == SEED:
        return _seed_sentences(drawn)
    if len(drawn) > 1:
        return _leader_sentences(drawn, curve)
    points = next(iter(drawn.values()), [])
    if len(points) < 2:
        return []
    best, worst = max(points, key=lambda point: point.y), min(points, key=lambda point: point.y)
    return [
        f"Accuracy is highest ({best.y:.1f}) at {best.x:g} and lowest ({worst.y:.1f}) at {worst.x:g} on the axis "
        f"“{curve.title}”: {best.y - worst.y:.1f} points apart."
    ]


def curve_figure(by_dataset: Mapping[str, Results]) -> Figure:
    """One panel per dataset, accuracy upwards on a common scale; one legend for what stands in any of them."""
    declared = _colours_by_title(next(iter(by_dataset.values())).study)

    def paint(figure: Figure) -> None:
        handles: dict[str, Any] = {}
        panels = figure.subplots(1, len(by_dataset), squeeze=False, sharey=True)[0]
        for axes, (dataset, results) in zip(panels, by_dataset.items(), strict=True):
            paint_curve(axes, results)
            axes.set_title(dataset)
            drawn, labels = axes.get_legend_handles_labels()
            handles |= dict(zip(labels, drawn, strict=True))
        panels[0].set_ylabel("accuracy on test videos (%), strict")
        titles = [title for title in declared if title in handles]
        if titles:
            figure.legend([handles[title] for title in titles], titles, loc="outside upper left", ncols=3, fontsize=8)

    return draw(paint, 640 if len(by_dataset) == 1 else 440 * len(by_dataset), 380)


def paint_curve(axes: Axes, results: Results) -> None:
    """Every line of one dataset's results, and the levels below or above them."""
    curve = results.study.curve
    assert curve is not None, "only studies with a curve are painted"
    drawn, colour = lines(results), _colours_by_title(results.study)
    for index, (title, points) in enumerate(drawn.items()):
        aside = LINES_APART * (index - (len(drawn) - 1) / 2)
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


def _line_of(row: Row, curve: Curve) -> str | None:
    """The title of the line that a row is a point of; None where the axis does not touch the row."""
    if curve.axis == SEED:
        return row.title
    return row.series if curve.axis in row.parameters else None


def _colours_by_title(study: Study) -> dict[str, str]:
    """The colour of every line and level that a study declares, computed or not, in the order of its rows."""
    curve, colour = study.curve, colours(study)
    assert curve is not None, "only studies with a curve have lines"
    found: dict[str, str] = {}
    for row in study.all_rows():
        line = _line_of(row, curve)
        found.setdefault(row.title if line is None else line, colour[row.name])
    return found


def _paint_line(axes: Axes, points: list[Point], title: str, colour: str, aside: float, *, connected: bool) -> None:
    """Points and bars, moved aside by so many typographic points, so that lines do not hide each other."""
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


def _point(result: RowResult, curve: Curve) -> list[Point]:
    score = result.score("strict", METRIC)
    place = place_of(result.row, curve)
    if score is None or place is None:
        return []
    return [Point(place, score.mean, score.std if score.seed_std is None else score.seed_std)]


def _by_seed(result: RowResult) -> list[Point]:
    score = result.score("strict", METRIC)
    values = score.by_seed if score else {}
    return [Point(float(seed), value, None) for seed, value in values.items() if value is not None]


def _leader_sentences(drawn: Mapping[str, list[Point]], curve: Curve) -> list[str]:
    sentences = []
    for x in sorted({point.x for points in drawn.values() for point in points}):
        here = {title: point.y for title, points in drawn.items() for point in points if point.x == x}
        ordered = sorted(here, key=lambda title: -here[title])
        if len(ordered) > 1:
            margin = here[ordered[0]] - here[ordered[1]]
            sentences.append(f"At {x:g}: {ordered[0]} {here[ordered[0]]:.1f}, {margin:.1f} points before {ordered[1]}.")
    return [f"By {curve.title}. {' '.join(sentences)}"] if sentences else []


def _seed_sentences(drawn: Mapping[str, list[Point]]) -> list[str]:
    spreads = {title: [point.y for point in points] for title, points in drawn.items() if len(points) > 1}
    return [
        f"{title}: mean {statistics.fmean(values):.1f}, standard deviation over {len(values)} seeds "
        f"{statistics.stdev(values):.1f}, range {max(values) - min(values):.1f} points."
        for title, values in spreads.items()
    ]
