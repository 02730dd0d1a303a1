"""The figures of a report: accuracies beside the published ones, phase ribbons, training curves; one colour per row."""

import io
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from study.analysis.results import PRETRAINING, TEMPORAL, Predictions, Results, RowResult, median_video, phase_title
from study.core.study import Study

INK, FAINT, UNLABELLED = "#1f2430", "#8a909c", "#f3f4f6"
ROW_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")
BASELINE_COLOURS = ("#4d5562", "#868d99", "#a9afb9", "#c6cad1")
"""Rows: Okabe and Ito's palette, safe for colour-blind readers; baselines in greys."""
PHASE_COLOURS = ("#332288", "#ddcc77", "#cc6677", "#88ccee", "#117733", "#aa4499", "#44aa99", "#882255", "#999933")
"""Paul Tol's muted palette, in an order that sets neighbouring phases apart."""
LOSSES = {"loss_contrastive": "contrastive loss", "loss_distillation": "distillation loss"}
PROBE = {"knn_accuracy": "kNN probe on validation (%)"}
PIXELS_PER_INCH = 100
TITLE_LENGTH = 34

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#c4c9d1",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "y",
    "grid.color": "#eceef1",
    "xtick.color": "#5b6270",
    "ytick.color": "#5b6270",
    "xtick.labelcolor": "#3b414d",
    "ytick.labelcolor": "#3b414d",
    "legend.frameon": False,
    "figure.dpi": PIXELS_PER_INCH,
    "svg.fonttype": "path",
}


def draw(paint: Callable[[Figure], None], width_px: int, height_px: int) -> Figure:
    """A figure of a size, painted in the house style without touching anyone's global state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width_px / PIXELS_PER_INCH, height_px / PIXELS_PER_INCH), layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        _settle(figure)
    return figure


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element; `name` keeps the ids of several figures on one page apart."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].strip()


def png(figure: Figure, path: Path, *, scale: float = 2.0) -> None:
    """Writes the figure as PNG, with `scale` pixels for every pixel of its size."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=PIXELS_PER_INCH * scale, metadata={"Software": None})


def colours(study: Study) -> dict[str, str]:
    """The colour of every row, computed or not, by name; the same in all figures, and that of a series for its rows."""
    asked, grey, rows = cycle(ROW_COLOURS), cycle(BASELINE_COLOURS), study.all_rows()
    lines = dict.fromkeys((row.series or row.name, row.baseline) for row in rows)
    found = {line: next(grey if baseline else asked) for line, baseline in lines}
    return {row.name: found[row.series or row.name] for row in rows}


def accuracy_figure(results: Results) -> Figure:
    """Accuracies of all rows, beside the published ones."""
    return draw(lambda figure: paint_accuracies(figure.subplots(), results), 860, 84 + 44 * len(results.rows))


def paint_accuracies(axes: Axes, results: Results) -> None:
    """One line per row: every test video as a dot, the mean as a bar, the published mean as a diamond."""
    colour = colours(results.study)
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


def ribbon_figure(results: Results, videos: Mapping[str, Predictions], name: str, *, compact: bool = False) -> Figure:
    """One test video: the truth, then what every row said. `videos` is keyed by row name."""
    step, margin = (20, 62) if compact else (32, 104)
    height = margin + step * (len(videos) + 1)
    return draw(lambda figure: paint_ribbons(figure.subplots(), results, videos, name, legend=not compact), 880, height)


def paint_ribbons(
    axes: Axes, results: Results, videos: Mapping[str, Predictions], name: str, *, legend: bool = True
) -> None:
    """Ribbons of phases over minutes, the truth on top; each row's accuracy on this video stands at its right."""
    scores = results.any_scores
    assert scores is not None, "who has predictions has scores"
    titles = {result.row.name: result.row.title for result in results.rows}
    truth = next(iter(videos.values())).truth
    minutes = len(truth) / scores.fps / 60
    _paint_ribbon(axes, 0, truth, scores.fps, height=0.9)
    for line, video in enumerate(videos.values(), start=1):
        _paint_ribbon(axes, line + 0.25, video.prediction, scores.fps, height=0.74)
        axes.text(minutes, line + 0.25, f" {video.accuracy:.1f}", va="center", fontsize=8, color=INK)
    lines = [0.0, *(line + 1.25 for line in range(len(videos)))]
    axes.set_title(name, pad=52 if legend else 6)
    axes.set_yticks(lines, ["truth", *(short_title(titles[row]) for row in videos)])
    axes.set_ylim(lines[-1] + 0.55, -0.6)
    axes.set_xlim(0, minutes)
    axes.set_xlabel("minutes")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if legend:
        patches = [
            Patch(color=_phase_colour(index), label=phase_title(phase)) for index, phase in enumerate(scores.phases)
        ]
        look: dict[str, Any] = {"handlelength": 1.0, "handleheight": 1.0, "columnspacing": 1.2, "fontsize": 8}
        axes.legend(handles=patches, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, borderpad=0, **look)


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
    """One metric over epochs, a line per row; with several seeds the mean, and each seed thinly.

    Rows that share their training share a line.
    """
    colour = colours(results.study)
    drawn: list[object] = []
    for result in results.rows:
        curve, seeds = result.curve(metric, of=of), result.curves(metric, of=of)
        if not curve or seeds in drawn:
            continue
        drawn.append(seeds)
        look = _line_look(result, results, colour[result.row.name])
        for seed in seeds if len(seeds) > 1 else ():
            axes.plot(list(seed), list(seed.values()), color=colour[result.row.name], linewidth=0.6, alpha=0.45)
        shared = result.row.series if of == PRETRAINING else ""
        axes.plot(list(curve), list(curve.values()), label=short_title(shared or result.row.title), **look)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.03)
    axes.grid(visible=True)
    axes.set_axisbelow(True)


def overview_figure(results: Results, predictions: Mapping[str, Mapping[str, Predictions]], footnote: str) -> Figure:
    """One picture of 1400×800: accuracies beside the published ones, the median test video, the probe's curves."""
    video = median_video(results)
    ribbons = {row: videos[video] for row, videos in predictions.items() if video is not None}

    def paint(figure: Figure) -> None:
        figure.suptitle(results.study.title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.12), height_ratios=(1.5, 1))
        paint_accuracies(figure.add_subplot(grid[:, 0]), results)
        upper, lower = (figure.add_subplot(grid[row, 1]) for row in range(2))
        if ribbons:
            paint_ribbons(upper, results, ribbons, f"test video {video}")
        paint_curves(lower, results, *next(iter(PROBE.items())))
        if lower.get_lines():
            lower.legend(fontsize=7.5, loc="lower right")
        figure.supxlabel(footnote, x=0.01, ha="left", fontsize=8, color=FAINT)

    return draw(paint, 1400, 800)


def short_title(title: str, length: int = TITLE_LENGTH) -> str:
    """A title that fits beside an axis."""
    return title if len(title) <= length else f"{title[: length - 1].rstrip()}…"


def _settle(figure: Figure) -> None:
    """Lays the figure out once, not again for every format."""
    engine = figure.get_layout_engine()
    assert engine is not None, "figures are drawn with a layout"
    engine.execute(figure)
    figure.set_layout_engine("none")


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


def _paint_ribbon(axes: Axes, line: float, labels: npt.NDArray[np.int8], fps: float, *, height: float) -> None:
    bounds = np.concatenate(([0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]))
    minutes = bounds / fps / 60
    phases = labels[bounds[:-1]]
    for phase in sorted(set(phases.tolist())):
        chosen = np.flatnonzero(phases == phase)
        spans = [(float(minutes[i]), float(minutes[i + 1] - minutes[i])) for i in chosen]
        axes.broken_barh(spans, (line - height / 2, height), color=_phase_colour(phase), linewidth=0)


def _phase_colour(phase: int) -> str:
    return UNLABELLED if phase < 0 else PHASE_COLOURS[phase % len(PHASE_COLOURS)]


def _with_curves(results: Results, metrics: Mapping[str, str], of: str) -> dict[str, str]:
    return {metric: title for metric, title in metrics.items() if any(r.curve(metric, of=of) for r in results.rows)}


def _curve_panels(results: Results, panels: Mapping[str, str], of: str, *, height_px: int) -> Figure:
    def paint(figure: Figure) -> None:
        handles: dict[str, Any] = {}
        for axes, metric in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            paint_curves(axes, results, metric, panels[metric], of)
            lines, labels = axes.get_legend_handles_labels()
            handles |= dict(zip(labels, lines, strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=3, fontsize=8)

    return draw(paint, 890, height_px)


def _line_look(result: RowResult, results: Results, colour: str) -> dict[str, Any]:
    is_reference = result.row.name == results.study.reference
    style = "--" if result.row.baseline else "-"
    return {"color": colour, "linewidth": 2.4 if is_reference else 1.5, "linestyle": style}
