"""Accuracy against one hyperparameter: the points of a study's curve, and sentences on them."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from study.analysis.comparisons import place_of
from study.analysis.results import Results, RowResult
from study.core.rows import Curve, Row

SEED = "seed"
"""The axis that is no hyperparameter."""
METRIC = "accuracy"


@dataclass(frozen=True)
class Point:
    """Point of a curve: the value on the axis, strict accuracy in percent, and its standard deviation."""

    x: float
    y: float
    spread: float | None


def lines(results: Results) -> dict[str, list[Point]]:
    """The points of every line by the line's title, from left to right; the only line of a study has none."""
    curve = results.study.curve
    assert curve is not None, "only studies with a curve have lines"
    found: dict[str, list[Point]] = {}
    for result in results.rows:
        line = line_of(result.row, curve)
        if line is not None:
            found.setdefault(line, []).extend(_by_seed(result) if curve.axis == SEED else _point(result, curve))
    return {title: sorted(points, key=lambda point: point.x) for title, points in found.items() if points}


def levels(results: Results) -> dict[str, float]:
    """The accuracies of the rows that the axis does not touch, by title."""
    curve = results.study.curve
    assert curve is not None, "only studies with a curve have levels"
    untouched = [r for r in results.rows if line_of(r.row, curve) is None]
    return {r.row.title: score.mean for r in untouched if (score := r.score("strict", METRIC))}


def curve_sentences(results: Results) -> list[str]:
    """Sentences on the curve: its highest point, the leading line at every value, or the spread over seeds."""
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


def line_of(row: Row, curve: Curve) -> str | None:
    """The title of the line to which a row belongs; None where the row does not depend on the axis."""
    if curve.axis == SEED:
        return row.title
    return row.series if curve.axis in row.parameters else None


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
