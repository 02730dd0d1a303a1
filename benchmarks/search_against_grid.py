"""What searches find for what they spend, beside a grid over the same question, all on the demo's videos.

    python benchmarks/search_against_grid.py [HOME]

All are run here, through Ray, unless HOME holds them already; it takes about an hour on two CPU cores. What is spent is
counted in epochs of pre-training: of every student as far as it was trained, and of every teacher, once where several
students share it. All are judged by accuracy on validation videos. A grid has no natural order, so its line is the mean
over all orders in which its points could be computed; a search has chance in it, so there are several, whose samplers
have other seeds.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from search_spaces.recipes import distilled
from search_spaces.searches.distilled import ON_VALIDATION, search_distilled
from study import Choice, Study
from study.cli.planning import PlannedStudy
from study.core.graph import key, walk
from study.home.request import Request
from study.report.figures.style import FAINT, ROW_COLOURS, draw, write_png
from study.search.request import latest_search
from trainers.data.synthetic.generic_images import GenericImages
from trainers.ssl.pretrain import Pretrain
from trainers.stage import Stage

SCALE = "demo"
NUM_TRIALS = 40
SAMPLER_SEEDS = (0, 1, 2)
NUM_ORDERS = 2000
PICTURE = Path(__file__).parent / "results" / "search-against-grid.png"
GRID, SEARCH = f"{Path(__file__).resolve()}:grid", "distilled"

grid = Study(
    name="grid",
    title="λ, τ and the teacher's trained part, point by point",
    question="A grid over the question of the search: the paper's values, and one on each side of them.",
    recipe=distilled,
    axes={
        "teacher_trains": Choice(("none", "head", "backbone", "all")),
        "distillation_weight": Choice((1.0, 5.0, 20.0)),
        "temperature": Choice((0.03, 0.07, 0.2)),
    },
)


@dataclass(frozen=True)
class Point:
    """One point that was tried.

    Attributes:
        name: of its row or trial.
        value: accuracy on validation videos, in percent; None where it was stopped early.
        epochs: of every pre-training that it needs, by stage key.
    """

    name: str
    value: float | None
    epochs: dict[str, int]


def of_grid(planned: PlannedStudy) -> list[Point]:
    """The points of the grid."""
    return [
        Point(trial.row.name, ON_VALIDATION.value(planned.store.check(key(model))), epochs_of(model))
        for trial in planned.trials
        if (model := ON_VALIDATION.last_stage(trial.stage))
    ]


def of_search(planned: PlannedStudy) -> list[Point]:
    """The trials of the search that was last run, in the order in which they were begun."""
    home = planned.store.home
    folder = latest_search(SEARCH, home).folder(home)
    space = search_distilled.bind(planned.conditions)
    points = []
    for record in json.loads((folder / "search.json").read_text())["trials"]:
        trial = space.trial(record["number"], record["parameters"])
        watched = ON_VALIDATION.pruning_signal(trial.stage)
        assert watched is not None, "students are probed where there are validation videos"
        epochs = epochs_of(trial.stage) | {key(watched.stage): record["epochs"]}
        points.append(Point(f"trial {record['number']}", record["value"], epochs))
    return points


def epochs_of(last: Stage) -> dict[str, int]:
    """The epochs of every pre-training on surgical frames that a stage needs, by key."""
    return {
        stage_key: stage.optimisation.epochs
        for stage_key, stage in walk(last).items()
        if isinstance(stage, Pretrain) and not any(isinstance(frames, GenericImages) for frames in stage.frames)
    }


def best_so_far(points: Sequence[Point]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Epochs spent after every point, what is shared counted once, and the best value until there (NaN before any)."""
    known: dict[str, int] = {}
    spent = []
    for point in points:
        known |= {stage_key: max(n, known.get(stage_key, 0)) for stage_key, n in point.epochs.items()}
        spent.append(sum(known.values()))
    values = [np.nan if point.value is None else point.value for point in points]
    return np.array(spent), np.fmax.accumulate(values)


def mean_over_orders(points: Sequence[Point]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The mean of `best_so_far` over random orders, at every number of epochs up to all."""
    generator = np.random.default_rng(0)
    total = int(best_so_far(points)[0][-1])
    epochs = np.arange(1, total + 1)
    curves = []
    for _ in range(NUM_ORDERS):
        spent, best = best_so_far([points[index] for index in generator.permutation(len(points))])
        reached = np.searchsorted(spent, epochs, side="right") - 1
        curves.append(np.where(reached >= 0, best[reached], np.nan))
    stacked = np.array(curves)
    first = int(np.isnan(stacked).any(axis=0).sum())  # before that, some orders have no value yet
    return epochs[first:], stacked[:, first:].mean(axis=0)


def picture(searches: Sequence[Sequence[Point]], grid_points: Sequence[Point]) -> Figure:
    """Best value on validation videos against epochs spent."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        epochs, mean = mean_over_orders(grid_points)
        axes.plot(epochs, mean, color=ROW_COLOURS[1], label=f"grid of {len(grid_points)}, mean over orders")
        axes.axhline(mean[-1], color=FAINT, linestyle="--", linewidth=1, label="best of the whole grid")
        for number, points in enumerate(searches):
            spent, best = best_so_far(points)
            label = f"{len(searches)} searches of {len(points)} trials" if number == 0 else None
            axes.step(spent, best, where="post", color=ROW_COLOURS[0], alpha=1 - number / 4, label=label)
        axes.set_xlabel("epochs of pre-training")
        axes.set_ylabel(f"best {ON_VALIDATION.title}")
        axes.grid(visible=True)
        axes.legend(loc="lower right")

    return draw(paint, 760, 380)


def line(name: str, points: Sequence[Point]) -> str:
    """What was spent, and what was found for it."""
    spent, best = best_so_far(points)
    winner = max((point for point in points if point.value is not None), key=lambda point: point.value or 0.0)
    stopped = sum(point.value is None for point in points)
    told = f"{name:9s}{len(points):4d} points, {stopped:3d} stopped early"
    return f"{told}{spent[-1]:6d} epochs  {best[-1]:6.2f}  {winner.name}"


def overtaking(points: Sequence[Point], grid_points: Sequence[Point]) -> str:
    """When a search was first as good as the best of the whole grid."""
    spent, best = best_so_far(points)
    reached = np.flatnonzero(best >= best_so_far(grid_points)[1][-1])
    return f"as good as the grid's best after {spent[reached[0]]} epochs" if len(reached) else "never as good as it"


def run(home: Path, *command: str) -> None:
    """Runs a command of freelunch in a home folder."""
    freelunch = Path(sys.executable).with_name("freelunch")
    subprocess.run([freelunch, "--home", home, *command, "--scale", SCALE, "--no-mlflow"], check=True)


def searched(home: Path, planned: PlannedStudy, seed: int) -> list[Point]:
    """The trials of a search whose sampler has a seed, each search in a database of its own."""
    storage = f"sqlite:///{home.absolute() / f'sampler-{seed}.db'}"
    run(home, "search", SEARCH, "--trials", str(NUM_TRIALS), "--seed", str(seed), "--storage", storage)
    return of_search(planned)


def main(home: Path) -> None:
    run(home, "run", GRID)
    planned = PlannedStudy(home, Request(study=GRID, scale=SCALE))
    points = of_grid(planned)
    searches = {seed: searched(home, planned, seed) for seed in SAMPLER_SEEDS}
    print(f"{ON_VALIDATION.title}, best of all")
    print(line("grid", points))
    for seed, found in searches.items():
        print(f"{line(f'search {seed}', found)}, {overtaking(found, points)}")
    write_png(picture(list(searches.values()), points), PICTURE)
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
