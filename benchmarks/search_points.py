"""Points that a grid or a search has tried: what was spent on them, the best of them, and their figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from study.report.figures.style import FAINT, ROW_COLOURS, draw

NUM_ORDERS = 2000


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point that was tried.

    Attributes:
        name: of its row or trial.
        parameters: its hyperparameters.
        value: accuracy over folds, in percent; None where it was stopped early.
        epochs: of every pre-training that it needs, by stage key; of its student, as far as it was trained.
        student: key of its student.
        curve: accuracy of the student's probe by epoch.
        test: accuracy on the test videos, in percent, where it was evaluated.
    """

    name: str
    parameters: Mapping[str, object]
    value: float | None
    epochs: Mapping[str, int]
    student: str
    curve: Mapping[int, float] = field(default_factory=dict)
    test: float | None = None


def point_from(record: Mapping[str, Any]) -> Point:
    """A point as JSON holds it."""
    return Point(**{**record, "curve": {int(epoch): value for epoch, value in record["curve"].items()}})


def best_of(points: Sequence[Point]) -> Point:
    """The point of the best value, the first of equal ones."""
    return max((point for point in points if point.value is not None), key=lambda point: point.value or 0.0)


def best_so_far(points: Sequence[Point]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Epochs spent after every point, what is shared counted once, and the best value until there (NaN before any)."""
    known: dict[str, int] = {}
    spent = []
    for point in points:
        known |= {stage_key: max(n, known.get(stage_key, 0)) for stage_key, n in point.epochs.items()}
        spent.append(sum(known.values()))
    values = [np.nan if point.value is None else point.value for point in points]
    return np.array(spent), np.fmax.accumulate(values)


def spent_by(points: Sequence[Point]) -> int:
    """Epochs that points took together."""
    return int(best_so_far(points)[0][-1])


def within(points: Sequence[Point], limit: int) -> list[Point]:
    """The first points that together took no more epochs than a limit."""
    return [point for point, spent in zip(points, best_so_far(points)[0], strict=True) if spent <= limit]


def mean_over_orders(points: Sequence[Point]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The mean of `best_so_far` over random orders, at every number of epochs up to all."""
    generator = np.random.default_rng(0)
    epochs = np.arange(1, spent_by(points) + 1)
    curves = []
    for _ in range(NUM_ORDERS):
        spent, best = best_so_far([points[index] for index in generator.permutation(len(points))])
        reached = np.searchsorted(spent, epochs, side="right") - 1
        curves.append(np.where(reached >= 0, best[reached], np.nan))
    stacked = np.array(curves)
    first = int(np.isnan(stacked).any(axis=0).sum())  # before that, some orders have no value yet
    return epochs[first:], stacked[:, first:].mean(axis=0)


def picture(searches: Sequence[Sequence[Point]], grid_points: Sequence[Point], title: str) -> Figure:
    """Best value against epochs spent; `title` names the value."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        epochs, mean = mean_over_orders(grid_points)
        axes.plot(epochs, mean, color=ROW_COLOURS[1], label=f"grid of {len(grid_points)}, mean over orders")
        axes.axhline(mean[-1], color=FAINT, linestyle="--", linewidth=1, label="best of the whole grid")
        for number, points in enumerate(searches):
            spent, best = best_so_far(points)
            label = f"{len(searches)} searches" if number == 0 else None
            axes.step(spent, best, where="post", color=ROW_COLOURS[0], alpha=1 - number / 4, label=label)
        axes.set_xlabel("epochs of pre-training")
        axes.set_title(f"best {title}", loc="left")
        axes.grid(visible=True)
        axes.legend(loc="lower right")

    return draw(paint, 760, 380)


def line(name: str, points: Sequence[Point]) -> str:
    """What was spent, and what was found for it."""
    best = best_of(points)
    stopped = sum(point.value is None for point in points)
    told = f"{name:9s}{len(points):4d} points, {stopped:3d} without a value"
    tested = "" if best.test is None else f", on test {best.test:.2f}"
    return f"{told}{spent_by(points):6d} epochs  {best.value:6.2f}{tested}  {best.name}"
