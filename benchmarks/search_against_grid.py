"""What searches find for a part of what a grid over the same question costs.

    python benchmarks/search_against_grid.py --home HOME --scale small --set precision=bf16

A grid of 36 points, and three searches whose samplers have other seeds, each of which ends where it has used a share of
the grid's epochs. All run through Ray in a home, where the same command goes on. What is spent is counted in epochs of
pre-training: of every student as far as it was trained, and of every teacher, once where several students share it.
Points are valued over folds of the training and validation videos, as searches value theirs. The best point of the grid
and of each search is evaluated on the test videos, once, at the end. A grid has no natural order, so its line is the
mean over all orders in which its points could be computed. Three searches say little about searches: what the JSON
holds of the grid is the table from which `benchmarks.search_replay` simulates hundreds.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, too, it imports this repository's packages

from benchmarks import search_grid
from benchmarks.search_points import Point, best_of, line, picture, spent_by, within
from search_spaces.searches.distilled import search_distilled
from search_spaces.searches.objectives import ON_FOLDS
from study.cli.planning import PlannedStudy
from study.cli.search_planning import PlannedSearch
from study.core.graph import key, walk
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import Trial
from study.execution.events import Observer
from study.execution.local import run as run_locally
from study.execution.side_by_side import run_side_by_side
from study.home.request import Request
from study.report.figures.style import write_png
from study.search.request import latest_search
from trainers.artifacts.evaluation import STRICT, SUMMARY_NAME
from trainers.artifacts.history import read_history
from trainers.data.synthetic.generic_images import GenericImages
from trainers.recognition.cross_validation import CrossValidate
from trainers.runtime.cpus import available_cpus
from trainers.ssl.pretrain import Pretrain
from trainers.stage import Resources, Stage

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SAMPLER_SEEDS = (0, 1, 2)
SHARE = 0.3
GRID, SEARCH = f"{search_grid.__file__}:grid", search_distilled.name


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks for.

    Attributes:
        home: the home folder.
        scale: the sizes.
        settings: what is fixed everywhere, as text.
        share: of the grid's epochs that a search may use.
        output: path of the JSON and the picture, without their suffixes.
    """

    home: Path
    scale: str
    settings: Mapping[str, str]
    share: float
    output: Path

    def request(self, study: str) -> Request:
        """The request for a study or a search."""
        return Request(study=study, scale=self.scale, settings=dict(self.settings))

    def run(self, *command: str) -> None:
        """Runs a command of freelunch in the home folder, by this repository's code."""
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        program = [sys.executable, "-m", "study.cli", "--home", str(self.home)]
        subprocess.run([*program, *command], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})

    def run_asked(self, verb: str, study: str, *options: str) -> None:
        """Runs a study or a search at this scale with these settings."""
        settings = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        self.run(verb, study, "--scale", self.scale, *settings, *options, "--no-mlflow")


def grid_points(asked: Asked) -> list[Point]:
    """The points of the grid, computed where they are not there yet."""
    asked.run_asked("run", GRID)
    planned = PlannedStudy(asked.home, asked.request(GRID))
    valued = [replace(trial, stage=ON_FOLDS.last_stage(trial.stage)) for trial in planned.trials]
    value_over_folds(valued, Store(asked.home))
    return [_grid_point(trial, last, planned.store) for trial, last in zip(planned.trials, valued, strict=True)]


def value_over_folds(valued: Sequence[Trial], store: Store) -> None:
    """Computes the cross-validation of trials whose students are there: folds side by side, a core for each."""
    lasts = [trial.stage for trial in valued if isinstance(trial.stage, CrossValidate)]
    folds = [fold for last in lasts for fold in last.folds]
    _compute([each for fold in folds for each in (fold.training, fold.validation) if each], valued[0], store)
    _compute(folds, valued[0], store, num_processes=available_cpus())
    _compute(lasts, valued[0], store)


def _compute(stages: Sequence[Stage], like: Trial, store: Store, num_processes: int = 1) -> None:
    plan = make_plan([replace(like, stage=stage) for stage in stages], store)
    if num_processes > 1 and plan.missing:
        outcome = run_side_by_side(plan, store, lambda stage: Resources(), Observer(), num_processes)
    else:
        outcome = run_locally(plan, store, lambda stage: Resources(threads=available_cpus()), Observer())
    for failure in outcome.failures.values():
        raise SystemExit(f"{failure.title} failed: {failure.sentence}")


def _grid_point(trial: Trial, valued: Trial, store: Store) -> Point:
    watched = ON_FOLDS.pruning_signal(valued.stage)
    assert watched is not None, "students are probed where there are validation videos"
    student = key(watched.stage)
    return Point(
        name=trial.row.name,
        parameters=trial.row.parameters,
        value=ON_FOLDS.value(store.check(key(valued.stage))),
        epochs=epochs_of(valued.stage),
        student=student,
        curve=read_history(store.check(student))[ON_FOLDS.metric],
        test=accuracy_on_test(trial.stage, store),
    )


def accuracy_on_test(evaluated: Stage, store: Store) -> float:
    """The strict accuracy of a finished evaluation, in percent."""
    summary: dict[str, Any] = json.loads((store.check(key(evaluated)) / SUMMARY_NAME).read_text())
    return float(summary[STRICT]["accuracy"]["mean"])


def searched(asked: Asked, seed: int, limit: int) -> list[Point]:
    """The trials of a search whose sampler has a seed, until it has used as many epochs as it may.

    It goes on by as many trials as surely fit into what is left, at least one; the last may use more, and is left out.
    """
    storage = f"sqlite:///{asked.home / f'sampler-{seed}.db'}"
    num_trials, points = 1, list[Point]()
    while not points or spent_by(points) < limit:
        options = ("--trials", str(num_trials), "--seed", str(seed), "--storage", storage, "--at-once", "1")
        asked.run_asked("search", SEARCH, *options)
        points = search_points(asked)
        if len(points) < num_trials:  # every point has been tried
            break
        dearest = max(sum(point.epochs.values()) for point in points)
        num_trials = len(points) + max(int((limit - spent_by(points)) / dearest), 1)
    return within(points, limit)


def search_points(asked: Asked) -> list[Point]:
    """The trials of the search that was last run, in the order in which they were begun."""
    request = latest_search(SEARCH, asked.home)
    planned = PlannedSearch(asked.home, request, writing=False)
    points = []
    for record in json.loads((request.folder(asked.home) / "search.json").read_text())["trials"]:
        trial = planned.space.trial(record["number"], record["parameters"])
        watched = ON_FOLDS.pruning_signal(trial.stage)
        assert watched is not None, "students are probed where there are validation videos"
        student = key(watched.stage)
        points.append(
            Point(
                name=f"trial {record['number']}",
                parameters=record["parameters"],
                value=record["value"],
                epochs=epochs_of(trial.stage) | {student: record["epochs"]},
                student=student,
                curve={int(epoch): value for epoch, value in record["watched"].items()},
            )
        )
    return points


def evaluated(asked: Asked, points: Sequence[Point]) -> list[Point]:
    """The points of a search, the best of them with its accuracy on the test videos."""
    best = best_of(points)
    planned = PlannedSearch(asked.home, latest_search(SEARCH, asked.home), writing=False)
    request = planned.evaluation_request(best.parameters)
    asked.run(*shlex.split(request.command("run"))[1:], "--no-mlflow")
    (trial,) = (trial for trial in PlannedStudy(asked.home, request).trials if not trial.row.baseline)
    test = accuracy_on_test(trial.stage, Store(asked.home))
    return [replace(point, test=test) if point == best else point for point in points]


def epochs_of(last: Stage) -> dict[str, int]:
    """The epochs of every pre-training on surgical frames that a stage needs, by key."""
    return {
        stage_key: stage.optimisation.epochs
        for stage_key, stage in walk(last).items()
        if isinstance(stage, Pretrain) and not any(isinstance(frames, GenericImages) for frames in stage.frames)
    }


def compared(asked: Asked) -> dict[str, Any]:
    """Grid and searches, the best of each evaluated on the test videos; the picture is written on the way."""
    points = grid_points(asked)
    limit = int(asked.share * spent_by(points))
    searches = {seed: evaluated(asked, searched(asked, seed, limit)) for seed in SAMPLER_SEEDS}
    write_png(picture([*searches.values()], points, ON_FOLDS.title), asked.output.with_suffix(".png"))
    print(f"{ON_FOLDS.title}; searches have {limit} epochs")
    for name, found in (("grid", points), *((f"search {seed}", each) for seed, each in searches.items())):
        print(line(name, found))
    return {
        "scale": asked.scale,
        "settings": dict(asked.settings),
        "objective": ON_FOLDS.title,
        "limit_epochs": limit,
        "grid": [asdict(point) for point in points],
        "searches": {str(seed): [asdict(point) for point in found] for seed, found in searches.items()},
    }


def asked_of(arguments: Sequence[str] | None = None) -> Asked:
    """The command line, read."""
    parser = argparse.ArgumentParser(description="Searches against a grid of 36 points.")
    parser.add_argument("--home", type=Path, required=True, help="home folder; the same command goes on there")
    parser.add_argument("--scale", default="small")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="fix a hyperparameter")
    parser.add_argument("--share", type=float, default=SHARE, help="of the grid's epochs that a search may use")
    parser.add_argument("--output", type=Path, help="path of the JSON and the picture, without a suffix")
    values = parser.parse_args(arguments)
    settings = dict(text.split("=", 1) for text in values.set)
    output = values.output or RESULTS / f"search-against-grid-{values.scale}"
    return Asked(home=values.home.absolute(), scale=values.scale, settings=settings, share=values.share, output=output)


def main() -> None:
    asked = asked_of()
    path = asked.output.with_suffix(".json")
    path.write_text(json.dumps(compared(asked), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"figures: {path}, picture: {path.with_suffix('.png')}")


if __name__ == "__main__":
    main()
