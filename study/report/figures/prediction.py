"""Picture of the predictions for one video: ribbons of phases over time, and the probability of the predicted one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.report.figures.ribbons import further_px, paint_legend, paint_ribbon, title_pad
from study.report.figures.style import INK, draw

WIDTH_PX, HEIGHT_PX = 1000, 300


def prediction_figure(
    title: str,
    phases: Sequence[str],
    ribbons: dict[str, npt.NDArray[np.int8]],
    probability: npt.NDArray[np.float32],
    fps: float,
) -> Figure:
    """Ribbons above, the probability of the first ribbon's phase below.

    Args:
        title: of the picture.
        phases: names of the phases, in index order.
        ribbons: phase of every row, by the title of the ribbon.
        probability: of the phase of the first ribbon, row by row, from 0 to 1.
        fps: rate of the rows.
    """

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.1, 1))
        _paint_ribbons(upper, title, phases, ribbons, fps)
        _paint_probability(lower, probability, fps)

    return draw(paint, WIDTH_PX, HEIGHT_PX + further_px(phases))


def _paint_ribbons(
    axes: Axes, title: str, phases: Sequence[str], ribbons: dict[str, npt.NDArray[np.int8]], fps: float
) -> None:
    for line, labels in enumerate(ribbons.values()):
        paint_ribbon(axes, line, labels, fps, height=0.82)
    axes.set_title(title, pad=title_pad(phases))
    axes.set_yticks(range(len(ribbons)), list(ribbons))
    axes.set_ylim(len(ribbons) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    paint_legend(axes, phases)


def _paint_probability(axes: Axes, probability: npt.NDArray[np.float32], fps: float) -> None:
    minutes = np.arange(len(probability) + 1) / fps / 60
    axes.stairs(probability, minutes, baseline=None, color=INK, linewidth=0.9)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, minutes[-1])
    axes.set_ylabel("probability")
    axes.set_xlabel("minutes")
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
