"""Phase ribbons of all annotated videos of a dataset, one below the other."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.report.figures.ribbons import further_px, paint_legend, paint_ribbon
from study.report.figures.style import INK, draw, short_title

STEP_PX, MARGIN_PX, WIDTH_PX = 20, 124, 980
Ribbon = tuple[str, npt.NDArray[np.int8], float, Sequence[tuple[float, float]]]
"""Name of a video, the labels of its rows, their rate, and stretches that are marked, in seconds."""


def dataset_ribbons(phases: Sequence[str], ribbons: Sequence[Ribbon]) -> Figure:
    """The phases of videos over minutes, and a line below what is black or frozen."""
    height = MARGIN_PX + further_px(phases) + STEP_PX * len(ribbons)
    return draw(lambda figure: _paint(figure.subplots(), phases, ribbons), WIDTH_PX, height)


def _paint(axes: Axes, phases: Sequence[str], ribbons: Sequence[Ribbon]) -> None:
    for line, (_, labels, fps, stretches) in enumerate(ribbons):
        paint_ribbon(axes, line, labels, fps, height=0.72)
        spans = [(start / 60, (stop - start) / 60) for start, stop in stretches]
        axes.broken_barh(spans, (line + 0.36, 0.16), color=INK, linewidth=0)
    axes.set_yticks(range(len(ribbons)), [short_title(name, 22) for name, *_ in ribbons], fontsize=7.5)
    axes.set_ylim(len(ribbons) - 0.3, -0.6)
    axes.set_xlim(0, max(len(labels) / fps for _, labels, fps, _ in ribbons) / 60)
    axes.set_xlabel("minutes")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    paint_legend(axes, phases)
