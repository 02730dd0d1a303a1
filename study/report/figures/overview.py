"""The picture of a study: accuracies, the median test video, and the curves of the probe."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.analysis.results import Results
from study.analysis.row_predictions import median_video
from study.report.figures.accuracy import paint_accuracies
from study.report.figures.ribbons import paint_ribbons
from study.report.figures.style import FAINT, draw
from study.report.figures.training_curves import PROBE, paint_curves
from trainers.artifacts.predictions import VideoPredictions

LEGEND_SIZE, SMALLEST_SIZE, SIZES_TOGETHER = 7.5, 5.0, 105.0
"""Size of a legend's titles, the smallest that can be read, and the sum of the sizes of those beside a panel."""


def overview_figure(
    results: Results, predictions: Mapping[str, Mapping[str, VideoPredictions]], footnote: str
) -> Figure:
    """One picture of 1400×800: accuracies beside the published ones, the median test video, the probe's curves."""
    video = median_video(results)
    ribbons = {row: videos[video] for row, videos in predictions.items() if video is not None and video in videos}

    def paint(figure: Figure) -> None:
        figure.suptitle(results.study.title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.12), height_ratios=(1.5, 1))
        paint_accuracies(figure.add_subplot(grid[:, 0]), results)
        upper, lower = (figure.add_subplot(grid[row, 1]) for row in range(2))
        if ribbons:
            paint_ribbons(upper, results, ribbons, f"test video {video}")
        else:
            upper.set_axis_off()
        paint_curves(lower, results, *next(iter(PROBE.items())))
        _paint_legend(lower)
        figure.supxlabel(footnote, x=0.01, ha="left", fontsize=8, color=FAINT)

    return draw(paint, 1400, 800)


def _paint_legend(axes: Axes) -> None:
    """The titles of lines, left of their axes, below the titles of the ribbons; where lines are too many, none."""
    _, titles = axes.get_legend_handles_labels()
    size = min(LEGEND_SIZE, SIZES_TOGETHER / max(1, len(titles)))
    if titles and size >= SMALLEST_SIZE:
        axes.legend(fontsize=size, loc="center right", bbox_to_anchor=(0, 0.5), borderaxespad=35 / size, borderpad=0)
