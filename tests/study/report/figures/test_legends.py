"""Legends of figures: they lie within the figure and cover nothing, for any number of rows and phases."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

from study import Row
from study.analysis.results import Results, RowResult, TrialResult
from study.report.figures.curve import curve_figure
from study.report.figures.overview import overview_figure
from study.report.figures.prediction import prediction_figure
from study.report.figures.training_curves import pretraining_figure
from tests.study.report.figures.test_curve import SEEDS, results
from trainers.artifacts.history import PRETRAINING

CURVES: Mapping[str, Any] = {"knn_accuracy": {1: 50.0, 2: 60.0}, "loss_contrastive": {1: 6.0, 2: 5.0}}


def trained(num_rows: int) -> Results:
    """Rows with long titles, each with a training of its own."""
    titles = [f"Pre-training of the kind {number} on surgical frames" for number in range(num_rows)]
    rows = tuple(Row(name=f"r{i}", title=title, parameters={"error": i / 100}) for i, title in enumerate(titles))
    found = results(replace(SEEDS, rows=rows), {row.name: (50.0,) for row in rows})
    return replace(found, rows=tuple(_with_curves(row, number) for number, row in enumerate(found.rows)))


def _with_curves(row: RowResult, number: int) -> RowResult:
    (trial,) = row.trials
    assert trial.scores is not None
    scores = replace(trial.scores, per_video={"strict": {"accuracy": {"v1": 48.0, "v2": 52.0}}})
    curves = {name: {epoch: value + number for epoch, value in curve.items()} for name, curve in CURVES.items()}
    return RowResult(
        row.row, (TrialResult(trial=trial.trial, scores=scores, problem="", curves={PRETRAINING: curves}),)
    )


def extent(figure: Figure, legend: Legend) -> Bbox:
    return legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]


def is_within(inner: Bbox, figure: Figure) -> bool:
    outer = figure.bbox
    return bool(outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1)


@pytest.mark.parametrize("num_rows", [1, 8, 20])
def test_the_legend_of_an_overview_covers_no_panel(num_rows: int):
    figure = overview_figure(trained(num_rows), {}, "a demo")
    (legend,) = [each for axes in figure.axes if (each := axes.get_legend())]
    assert len(legend.get_texts()) == num_rows
    assert is_within(extent(figure, legend), figure)
    for axes in figure.axes:
        assert not extent(figure, legend).overlaps(axes.bbox)


def test_an_overview_of_more_lines_than_can_be_told_apart_has_no_legend():
    assert not any(axes.get_legend() for axes in overview_figure(trained(30), {}, "a demo").axes)


@pytest.mark.parametrize("num_rows", [5, 30])
def test_legends_of_curves_lie_within_the_figure_above_panels_that_keep_their_height(num_rows: int):
    shown = trained(num_rows)
    for figure in (curve_figure({"ours": shown}), pretraining_figure(shown)):
        assert figure is not None
        (legend,) = figure.legends
        assert is_within(extent(figure, legend), figure)
        for axes in figure.axes:
            assert not extent(figure, legend).overlaps(axes.bbox)
            assert axes.bbox.height > 150


@pytest.mark.parametrize("num_phases", [2, 7, 20])
def test_the_legend_of_phases_lies_between_the_ribbons_and_the_title(num_phases: int):
    phases = [f"phase {number} with a long name" for number in range(num_phases)]
    labels = np.arange(num_phases, dtype=np.int8)
    figure = prediction_figure("video7", phases, {"model": labels}, np.full(num_phases, 0.5, np.float32), 1)
    upper, _ = figure.axes
    legend, title = upper.get_legend(), upper._left_title  # type: ignore[attr-defined]
    assert legend is not None
    top = title.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    assert upper.bbox.y1 <= extent(figure, legend).y0
    assert extent(figure, legend).y1 <= top.y0
    assert top.y1 <= figure.bbox.y1
