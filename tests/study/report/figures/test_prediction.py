import numpy as np

from study.report.figures.prediction import prediction_figure


def test_the_grid_lies_below_the_curve_of_probabilities():
    labels = np.array([0, 0, 1], np.int8)
    figure = prediction_figure("op", ("Access", "Closure"), {"model": labels}, np.array([0.4, 0.5, 0.6], np.float32), 5)
    _, lower = figure.axes
    (curve,) = lower.patches
    assert lower.yaxis.get_zorder() < curve.get_zorder()
