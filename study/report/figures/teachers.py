"""Accuracy of students over what their free models cost, and over the accuracy of these models' own features."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from study.analysis.paired_tests import Comparison
from study.analysis.results import Results
from study.report.figures.style import FAINT, draw, row_colours, short_title
from study.report.teacher_points import METRIC, TeacherPoint, teacher_points

LABEL_BESIDE, LABELS_APART = 10, 0.055
"""Distance of a label from its point, in pt, and the least one of two labels, in parts of the axis."""
ROOM, LEAST_ROOM = 0.25, 0.01
"""Room beside the outermost points, in parts of their distance, and at least in parts of their values."""
FACTOR_OF_LOG = 10.0
"""Costs that are further apart than this factor have a logarithmic axis."""

Limits = tuple[float, float]
Places = Sequence[tuple[float, TeacherPoint]]
"""Points with their values on the horizontal axis."""
NO_COMPARISONS: Mapping[str, Comparison] = MappingProxyType({})


def teachers_figure(results: Results, comparisons: Mapping[str, Comparison] = NO_COMPARISONS) -> Figure:
    """Accuracy of students over that of the free models, and in a second panel over their multiply-adds if they differ.

    Args:
        results: of the study.
        comparisons: of rows with their reference, by row name: their intervals are drawn, and a scale of the gain.
    """
    width = 860 if costs_differ(teacher_points(results)) else 560
    return draw(lambda figure: _paint(figure, results, comparisons), width, 380)


def costs_differ(points: Sequence[TeacherPoint]) -> bool:
    """Whether free models differ in their multiply-adds, or one is computed alone: then these are drawn."""
    return len(points) < 2 or len({point.teacher.gflops for point in points}) > 1


def _paint(figure: Figure, results: Results, comparisons: Mapping[str, Comparison]) -> None:
    points, colour = teacher_points(results), row_colours(results.study)
    score = results.reference.score("strict", METRIC) if results.reference else None
    level = score.mean if score else None
    whiskers = {} if level is None else _whiskers(points, comparisons, level)
    ends = [end for whisker in whiskers.values() for end in whisker]
    heights = _limits([*(point.student.mean for point in points), *([] if level is None else [level]), *ends])
    panels = figure.subplots(1, 2 if costs_differ(points) else 1, sharey=True, squeeze=False)[0]
    own, last = panels[0], panels[-1]
    _paint_own(own, points, colour, heights, whiskers)
    if last is not own:
        _paint_costs(last, points, colour, heights)
    for axes in panels:
        if level is not None:
            axes.axhline(level, color=FAINT, linestyle="--", linewidth=1.0)
        axes.set_ylim(heights)
        axes.grid(visible=True)
        axes.set_axisbelow(True)
    if level is not None and whiskers:
        gain = last.secondary_yaxis("right", functions=(lambda y: y - level, lambda y: y + level))
        gain.set_ylabel("gain over the reference (points)")


def _paint_own(
    axes: Axes,
    points: Sequence[TeacherPoint],
    colour: Mapping[str, str],
    heights: Limits,
    whiskers: Mapping[str, Limits],
) -> None:
    """Students over the accuracy of their free models' own features."""
    alone = [(point.own.mean, point) for point in points if point.own]
    _paint_points(axes, alone, colour, heights)
    axes.axline((heights[0], heights[0]), slope=1, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_xlim(_limits([x for x, _ in alone] or heights))
    axes.set_xlabel("accuracy of the free model's own features (%)")
    axes.set_ylabel("accuracy of the student (%), strict")
    for x, point in alone:
        if point.row.name in whiskers:
            axes.vlines(x, *whiskers[point.row.name], color=colour[point.row.name], linewidth=1.2, alpha=0.6)


def _paint_costs(axes: Axes, points: Sequence[TeacherPoint], colour: Mapping[str, str], heights: Limits) -> None:
    """Students over the cost of their free models."""
    _paint_points(axes, [(point.teacher.gflops, point) for point in points], colour, heights)
    _scale_costs(axes, [point.teacher.gflops for point in points])
    axes.set_xlabel("multiply-adds of the free model per frame (10⁹)")


def _whiskers(points: Sequence[TeacherPoint], comparisons: Mapping[str, Comparison], level: float) -> dict[str, Limits]:
    """Ends of every student's whisker, by row: the interval of its gain, added to the reference's mean."""
    found = {point.row.name: comparisons.get(point.row.name) for point in points}
    return {
        name: (level + comparison.interval[0], level + comparison.interval[1])
        for name, comparison in found.items()
        if comparison is not None and comparison.interval is not None
    }


def _paint_points(axes: Axes, places: Places, colour: Mapping[str, str], heights: Limits) -> None:
    """Points with labels on the side where there is room, which move upwards where they would hide each other."""
    span, free_from = heights[1] - heights[0], heights[0]
    halo = [withStroke(linewidth=2.5, foreground="white")]
    middle = (min(x for x, _ in places) + max(x for x, _ in places)) / 2 if places else 0.0
    for x, point in sorted(places, key=lambda place: place[1].student.mean):
        mean = point.student.mean
        y = max(mean, free_from)
        free_from = y + LABELS_APART * span
        axes.plot(x, mean, "o", color=colour[point.row.name], markersize=6.5, zorder=4)
        on_left = x > middle
        axes.annotate(
            short_title(point.teacher.title),
            (x, mean),
            (-LABEL_BESIDE if on_left else LABEL_BESIDE, y),
            textcoords=("offset points", "data"),
            ha="right" if on_left else "left",
            va="center",
            fontsize=7.5,
            path_effects=halo,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkB": 3},
            zorder=5,
        )


def _scale_costs(axes: Axes, costs: Sequence[float]) -> None:
    if _is_log(costs):
        axes.set_xscale("log")
        axes.set_xlim(*(10**end for end in _limits([math.log10(each) for each in costs])))
    else:
        axes.set_xlim(_limits(costs))
        axes.locator_params(axis="x", nbins=5)


def _is_log(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) > FACTOR_OF_LOG * min(values)


def _limits(values: Sequence[float]) -> Limits:
    """Ends of an axis with room beside its points."""
    low, high = min(values), max(values)
    room = max(ROOM * (high - low), LEAST_ROOM * max(abs(low), abs(high)))
    return low - room, high + room
