"""Ribbons of phases."""

import numpy as np
from matplotlib.figure import Figure

from study.report.figures.ribbons import paint_ribbon


def test_a_hole_of_the_truth_is_blank() -> None:
    axes = Figure().subplots()
    paint_ribbon(axes, 0, np.array([0, 0, -1, -1, 0, 1, -1], np.int8), 1 / 60, height=1)
    painted = [path.get_extents() for bars in axes.collections for path in bars.get_paths()]
    assert sorted((round(box.x0, 9), round(box.x1, 9)) for box in painted) == [(0, 2), (4, 5), (5, 6)]
