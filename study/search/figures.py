"""Figures of a search: history, curves, slices over hyperparameters, and importances."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from study.report.figures.style import FAINT, INK, ROW_COLOURS, draw
from study.search.optuna_study import parameters_of

COMPLETED, PRUNED, FAILED = ROW_COLOURS[0], "#c4c9d1", ROW_COLOURS[1]
COLUMNS = 3
WIDTH_PX, ROW_PX = 890, 230


def history_figure(trials: Sequence[FrozenTrial], title: str, *, maximised: bool) -> Figure:
    """Value of every trial by its number, and the best so far; at the foot, trials without a value."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        done = _completed(trials)
        best = list(accumulate((t.values[0] for t in done), max if maximised else min))
        axes.step([t.number for t in done], best, where="post", color=INK, linewidth=1.3, label="best so far")
        axes.plot([t.number for t in done], [t.values[0] for t in done], "o", color=COMPLETED, label="completed")
        for state, marker, colour, label in (
            (TrialState.PRUNED, "|", FAINT, "stopped early"),
            (TrialState.FAIL, "x", FAILED, "failed"),
        ):
            numbers = [t.number for t in trials if t.state == state]
            if not numbers:
                continue
            look: dict[str, Any] = {"color": colour, "label": label, "clip_on": False}
            axes.plot(numbers, [0.02] * len(numbers), marker, transform=axes.get_xaxis_transform(), **look)
        axes.set_xlabel("trial")
        axes.set_ylabel(title)
        axes.grid(visible=True)
        figure.legend(loc="outside upper left", ncols=4, fontsize=8)

    return draw(paint, WIDTH_PX, 330)


def curves_figure(trials: Sequence[FrozenTrial], metric: str, decision_epochs: Sequence[int]) -> Figure:
    """Observed metric of every trial by epoch; vertical lines are the epochs of decisions."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for epoch in decision_epochs:
            axes.axvline(epoch, color=PRUNED, linewidth=1, linestyle=":")
        for trial in sorted(trials, key=lambda trial: trial.state == TrialState.COMPLETE):
            epochs = sorted(trial.intermediate_values)
            values = [trial.intermediate_values[epoch] for epoch in epochs]
            is_complete = trial.state == TrialState.COMPLETE
            colour, marker = (COMPLETED, "") if is_complete else (PRUNED, "|")
            axes.plot(epochs, values, marker=marker, markevery=[-1], color=colour, linewidth=1.2 if is_complete else 1)
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric)
        axes.grid(visible=True)

    return draw(paint, WIDTH_PX, 330)


def slice_figure(trials: Sequence[FrozenTrial], names: Sequence[str], title: str) -> Figure:
    """Value of every completed trial against each of its hyperparameters; darker is later."""
    done = _completed(trials)
    num_rows = -(-len(names) // COLUMNS)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(num_rows, COLUMNS, squeeze=False, sharey=True).ravel()
        for axes, name in zip(panels, names, strict=False):
            _paint_slice(axes, done, name)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        figure.supylabel(title, fontsize=8.5)

    return draw(paint, WIDTH_PX, ROW_PX * num_rows)


def importance_figure(importances: Mapping[str, float]) -> Figure:
    """Importance of each hyperparameter."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        names = list(importances)
        axes.barh(names, [importances[name] for name in names], color=COMPLETED, height=0.6)
        axes.invert_yaxis()
        axes.set_xlabel("importance (of 1 in all)")
        axes.grid(visible=True, axis="x")
        axes.set_axisbelow(True)

    return draw(paint, WIDTH_PX, 70 + 28 * len(importances))


def _paint_slice(axes: Axes, done: Sequence[FrozenTrial], name: str) -> None:
    having = [trial for trial in done if name in parameters_of(trial)]
    values: list[Any] = [parameters_of(trial)[name] for trial in having]
    distribution = having[0].distributions[name]
    is_number = isinstance(distribution, FloatDistribution | IntDistribution)
    shown: Any = values if is_number else [str(value) for value in values]
    ages = [trial.number for trial in having]
    axes.scatter(shown, [t.values[0] for t in having], c=ages, cmap="Blues", vmin=-max(1, *ages), s=18)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        _scale_as_searched(axes, distribution)
    axes.set_title(name)
    axes.grid(visible=True)
    axes.set_axisbelow(True)


def _scale_as_searched(axes: Axes, distribution: FloatDistribution | IntDistribution) -> None:
    """Sets the axis to the whole searched range; logarithmic ones get few round ticks."""
    if distribution.log:
        axes.set_xscale("log", base=2 if isinstance(distribution, IntDistribution) else 10)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(distribution.low, distribution.high)


def _completed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]
