"""Figure of a suite: a panel per study, the strict accuracy of every row on one common axis."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.comparisons import METRIC, place_of, references
from study.analysis.results import Results, RowResult
from study.report.figures.style import FAINT, INK, ROW_COLOURS, draw, short_title

ROW_PX, PANEL_PX, COLUMN_PX = 17, 38, 560
"""Height of a row, additional height of a panel, and width of a column of panels."""
MOST_IN_ONE_COLUMN, NUM_TICKS, HEADING_LENGTH = 3, 6, 42
HEAD = 0.2
"""Additional height of a panel beside its rows, in rows."""
AIR = 0.05
"""Margin of the common axis at either end, as a share of the range of its values."""
REFERENCE, ROW = ROW_COLOURS[0], "#4d5562"


def panels_figure(everything: Sequence[Results]) -> Figure:
    """A panel per study: the strict accuracy of every row, on one axis for all."""
    columns = _columns(everything)
    limits = _limits(everything)
    height = max(map(_height, columns))

    def paint(figure: Figure) -> None:
        grid = figure.add_gridspec(1, len(columns))
        for number, column in enumerate(columns):
            ratios = [*(len(results.rows) + HEAD for results in column), (height - _height(column)) / ROW_PX + HEAD]
            cells = grid[0, number].subgridspec(len(ratios), 1, height_ratios=ratios)
            for line, results in enumerate(column):
                axes = figure.add_subplot(cells[line, 0])
                _paint_panel(axes, results, limits)
                axes.tick_params(labelbottom=results is column[-1])
            axes.set_xlabel("accuracy on test videos (%), strict")

    return draw(paint, COLUMN_PX * len(columns), height + PANEL_PX)


def _columns(everything: Sequence[Results]) -> list[list[Results]]:
    """The studies in one column, or in two: each study goes into the shorter one."""
    if len(everything) <= MOST_IN_ONE_COLUMN:
        return [list(everything)]
    columns: list[list[Results]] = [[], []]
    for results in everything:
        min(columns, key=_height).append(results)
    return columns


def _height(column: Sequence[Results]) -> int:
    return sum(ROW_PX * len(results.rows) + PANEL_PX for results in column)


def _limits(everything: Sequence[Results]) -> tuple[float, float]:
    """The ends of the common axis, which shows all means, their ranges over seeds, and the published means."""
    values = [value for results in everything for result in results.rows for value in _values(results, result)]
    air = AIR * (max(values) - min(values)) or 1.0
    return min(values) - air, max(values) + air


def _values(results: Results, result: RowResult) -> list[float]:
    score, published = result.score("strict", METRIC), _published(results, result)
    seeds = [value for value in score.by_seed.values() if value is not None] if score else []
    return [*seeds, *([score.mean] if score else []), *([published] if published is not None else [])]


def _published(results: Results, result: RowResult) -> float | None:
    printed = results.study.published.rows.get(result.row.name, {}) if results.study.published else {}
    return printed[METRIC][0] if METRIC in printed else None


def _paint_panel(axes: Axes, results: Results, limits: tuple[float, float]) -> None:
    highlighted = {results.study.reference, *references(results.study).values()}
    for line, result in enumerate(results.rows):
        is_reference = result.row.name in highlighted
        _paint_row(axes, line, results, result, REFERENCE if is_reference else FAINT if result.row.baseline else ROW)
    axes.set_yticks(range(len(results.rows)), _labels(results), fontsize=8)
    for label, result in zip(axes.get_yticklabels(), results.rows, strict=True):
        label.set_fontweight("bold" if result.row.name in highlighted else "normal")
        label.set_color(FAINT if result.row.baseline else INK)
    axes.set_ylim(len(results.rows) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(NUM_TICKS))
    axes.set_title(short_title(f"{results.study.name}: {results.study.title}", HEADING_LENGTH), fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)


def _labels(results: Results) -> list[str]:
    """The titles of the rows; of a line the title once, and the value of each of its points."""
    labels, curve = [], results.study.curve
    for before, result in zip((None, *results.rows), results.rows, strict=False):
        place = place_of(result.row, curve) if curve and result.row.series else None
        if place is None:
            labels.append(short_title(result.row.title))
        elif before is not None and before.row.series == result.row.series:
            labels.append(f"{place:g}")
        else:
            labels.append(f"{short_title(result.row.series)}   {place:g}")
    return labels


def _paint_row(axes: Axes, line: int, results: Results, result: RowResult, colour: str) -> None:
    """The mean as a dot with its number at the right margin, the range over seeds, and the published mean."""
    score, published = result.score("strict", METRIC), _published(results, result)
    if published is not None:
        axes.plot(published, line, marker="D", markersize=5, color="white", markeredgecolor=INK, zorder=2)
    margin = axes.get_yaxis_transform()
    if score is None:
        axes.text(1.01, line, "–", transform=margin, va="center", fontsize=7, color=FAINT)
        return
    seeds = [value for value in score.by_seed.values() if value is not None]
    axes.hlines(line, min(seeds), max(seeds), color=colour, linewidth=1.4, alpha=0.6)
    axes.plot(score.mean, line, "o", color=colour, markersize=5.5, zorder=3)
    axes.text(1.01, line, f"{score.mean:.1f}", transform=margin, va="center", fontsize=7, color=colour)
