"""Training curves: losses and validation accuracy by epoch, a line per row."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.results import Results, RowResult
from study.report.figures import legends
from study.report.figures.style import draw, row_colours, short_title
from trainers.artifacts.history import PRETRAINING, TEMPORAL

LOSSES = {"loss_contrastive": "contrastive loss", "loss_distillation": "distillation loss"}
WIDTH_PX, LINES_WITHIN = 890, 3
"""Width of a figure, and lines of a legend that its height has room for."""
SERIES_STYLES = ("-", "-.", ":", (0, (6, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
"""Lines of one series, which have one colour; baselines are dashed."""
PROBE = {"knn_accuracy": "kNN probe on validation (%)"}


def pretraining_figure(results: Results) -> Figure | None:
    """Losses and probe accuracy of every row's own pre-training; None where no row has any."""
    panels = _with_curves(results, {**LOSSES, **PROBE}, PRETRAINING)
    return _curve_panels(results, panels, PRETRAINING, height_px=330) if panels else None


def temporal_figure(results: Results) -> Figure | None:
    """Loss and validation accuracy of every row's temporal model; None where no row has any."""
    metrics = {"loss": "loss of the temporal model", "validation_accuracy": "validation accuracy (%)"}
    panels = _with_curves(results, metrics, TEMPORAL)
    return _curve_panels(results, panels, TEMPORAL, height_px=310) if panels else None


def paint_curves(axes: Axes, results: Results, metric: str, title: str, of: str = PRETRAINING) -> None:
    """One metric over epochs, a line per row; with several seeds the mean, and a thin line per seed.

    Rows that share their training share a line.
    """
    colour, places = row_colours(results.study), Counter[str]()
    for result, title_of_line in lines_of(results, metric, of):
        curve, seeds = result.curve(metric, of=of), result.curves(metric, of=of)
        look = _line_look(result, results, colour[result.row.name], places[result.row.series])
        if result.row.series:
            places[result.row.series] += 1
        for seed in seeds if len(seeds) > 1 else ():
            axes.plot(list(seed), list(seed.values()), color=colour[result.row.name], linewidth=0.6, alpha=0.45)
        axes.plot(list(curve), list(curve.values()), label=title_of_line, **look)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.03)
    axes.grid(visible=True)
    axes.set_axisbelow(True)


def lines_of(results: Results, metric: str, of: str = PRETRAINING) -> Iterator[tuple[RowResult, str]]:
    """The rows whose curves are drawn, with the titles of their lines: of rows that share their training, the first.

    Such a line has the title of its series, unless the series has rows that were trained otherwise, too.
    """
    drawn: list[tuple[RowResult, Sequence[object]]] = []
    for result in results.rows:
        seeds = result.curves(metric, of=of)
        if result.curve(metric, of=of) and all(seeds != known for _, known in drawn):
            drawn.append((result, seeds))
    lines = Counter(result.row.series for result, _ in drawn)
    for result, _ in drawn:
        shared = result.row.series if of == PRETRAINING and lines[result.row.series] == 1 else ""
        yield result, short_title(shared or result.row.title)


def _with_curves(results: Results, metrics: Mapping[str, str], of: str) -> dict[str, str]:
    return {metric: title for metric, title in metrics.items() if any(r.curve(metric, of=of) for r in results.rows)}


def _curve_panels(results: Results, panels: Mapping[str, str], of: str, *, height_px: int) -> Figure:
    def paint(figure: Figure) -> None:
        handles: dict[str, Any] = {}
        for axes, metric in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            paint_curves(axes, results, metric, panels[metric], of)
            lines, labels = axes.get_legend_handles_labels()
            handles |= dict(zip(labels, lines, strict=True))
        look: dict[str, Any] = {"ncols": legends.num_columns(titles, WIDTH_PX), "fontsize": legends.FONT_SIZE}
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", **look)

    titles = dict.fromkeys(title for metric in panels for _, title in lines_of(results, metric, of))
    further = max(0, legends.num_lines(titles, WIDTH_PX) - LINES_WITHIN)
    return draw(paint, WIDTH_PX, height_px + legends.LINE_PX * further)


def _line_look(result: RowResult, results: Results, colour: str, place: int) -> dict[str, Any]:
    """How a line is drawn, of which `place` others of its series, in the same colour, were drawn before."""
    is_reference = result.row.name == results.study.reference
    style = "--" if result.row.baseline else SERIES_STYLES[place % len(SERIES_STYLES)]
    return {"color": colour, "linewidth": 2.4 if is_reference else 1.5, "linestyle": style}
