"""The composition root: a request becomes a study's trials on a dataset, their plan, and its computation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import Progress

from search_spaces.catalogue import STUDIES
from search_spaces.presets import PRESETS, SCALES, Conditions, Scale
from study.cli.machine import Machine
from study.events import Observer, Observers, Outcome
from study.graph import key
from study.live import observer_for
from study.local import run as run_locally
from study.plan import Plan, make_plan
from study.profile import Profile
from study.request import Request, most_seeds, remembered_problems
from study.runner import run_on_ray
from study.screens import audits_table, new_console, plan_line, problems_of, report_table
from study.spec import Study, Trial, nearest, standalone
from study.store import Store, versions
from study.tracking import Tracker
from trainers import weights_registry
from trainers.data import datasets
from trainers.data.synthetic import synthesize
from trainers.data.video_file import NOMINAL_FPS
from trainers.machine import available_cpus
from trainers.stage import InputError

DEMO = "demo"
DEMO_VIDEOS, DEMO_MINUTES = 32, 0.5
FULL_SCALE_DATASET = "cholec80"


class Session:
    """A request put together with everything it names.

    Attributes:
        request: what was asked.
        study: the study it names.
        store: the home's artifacts.
        conditions: preset, scale and dataset.
        trials: the study's trials, in table order.
        plan: their stages.

    Raises:
        InputError: the request names something that there is not, or a value that does not fit.
        MachineError: the home folder cannot be used.
    """

    def __init__(self, home: Path, request: Request, *, brief: bool = False) -> None:
        self.request = request
        self.study: Study = named_study(request.study)
        self.store = Store(home)
        self.conditions: Conditions = replace(_conditions(self.store, request), brief=brief)
        self.trials: tuple[Trial, ...] = self.study.trials(
            self.conditions, seeds=range(request.seeds), settings=request.settings, only=request.rows
        )
        self.plan: Plan = make_plan(self.trials, self.store)

    def sides(self) -> dict[str, int]:
        """How many videos train, validate and test, and how many have no annotations, where any have none."""
        split = self.conditions.videos()
        sides = {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
        return sides | ({"unlabelled": len(split.unlabelled)} if split.unlabelled else {})

    def compute(self, machine: Machine, *observers: Observer) -> dict[str, str]:
        """Computes what is missing, and returns why stages failed, a sentence by key."""
        console = new_console()
        console.print(plan_line(self.plan), highlight=False)
        for warning in self.plan.warnings:
            console.print(f"[yellow]note[/] {escape(warning)}", highlight=False)
        outcome = _computed(self.plan, self.store, machine, *observers)
        return {stage_key: failure.sentence for stage_key, failure in outcome.failures.items()}

    def check(self, machine: Machine) -> dict[str, str]:
        """Computes what is missing of a brief session, and removes what is of no use to a whole one."""
        whole = Session(self.store.home, self.request)
        try:
            return self.compute(machine)
        finally:
            for stage_key in self.plan.stages.keys() - whole.plan.stages.keys() - self.plan.cached:
                if self.store.find(stage_key):  # the log of one that failed stays
                    self.store.remove(stage_key)

    @contextmanager
    def tracked(self, mlflow: bool) -> Iterator[tuple[Tracker, ...]]:
        """Who keeps the trials in MLflow while they are computed: nobody where that is not wanted."""
        if not mlflow:
            yield ()
            return
        with Tracker(
            home=self.store.home,
            study=self.study,
            request=self.request,
            trials=self.trials,
            plan=self.plan,
            store=self.store,
            context=self.context(),
            uri=os.environ.get("MLFLOW_TRACKING_URI"),
        ) as tracker:
            yield (tracker,)

    def show_report(self) -> tuple[Path, dict[int, str]]:
        """Writes the report, prints its table and where it lies.

        Returns:
            The report's folder, and why trials have no result, a sentence by the number of the trial in this session.
        """
        from study.report import write_picture, write_report  # Matplotlib, SciPy and statsmodels take seconds to import

        console, home = new_console(), self.store.home
        shown = make_plan(self._shown_trials(), self.store)
        problems = problems_of(shown, self.store, remembered_problems(self.request, home))
        folder = self.request.folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        context = {**self.context(), "seeds": str(len({trial.seed for trial in shown.trials}))}
        written = write_report(self.study, shown.trials, self.store, folder, context=context, problems=problems)
        summary = {name: context[name] for name in ("scale", "dataset", "seeds")}
        write_picture(self.study, shown.trials, self.store, folder / "overview.png", context=summary)
        console.print(report_table(written), highlight=False)
        labels = {trial.number: trial.label for trial in shown.trials}
        for number, sentence in problems.items():
            console.print(f"[yellow]{labels[number]}[/]: {escape(sentence)}", highlight=False, soft_wrap=True)
        console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
        return folder, problems_of(self.plan, self.store, remembered_problems(self.request, home))

    def _shown_trials(self) -> tuple[Trial, ...]:
        """The trials that were asked for, and those of other rows and seeds that earlier runs have finished."""
        asked = {(trial.row.name, trial.seed) for trial in self.trials}
        seeds = range(max(self.request.seeds, most_seeds(self.request, self.store.home)))
        trials = self.study.trials(self.conditions, seeds=seeds, settings=self.request.settings)
        return tuple(t for t in trials if (t.row.name, t.seed) in asked or self.store.find(key(t.stage)))

    def context(self) -> dict[str, str]:
        """What the report says above its table."""
        request, conditions = self.request, self.conditions
        sides = ", ".join(f"{count} {side}" for side, count in self.sides().items())
        return {
            "preset": f"{request.preset}: {conditions.preset.description}",
            "scale": f"{request.scale}: {conditions.scale.description}",
            "dataset": f"{conditions.dataset.name}, {sides} videos",
            "seeds": str(request.seeds),
            "date": datetime.now(UTC).date().isoformat(),
            "notes": " ".join(conditions.notes),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": request.command("run"),
        }


def named_study(name: str) -> Study:
    """A study by its name.

    Raises:
        InputError: there is none.
    """
    if name not in STUDIES:
        raise InputError(f"no study named {name!r}{nearest(name, STUDIES)}")
    return STUDIES[name]


def ingest_videos(
    home: Path, name: str, layout: str, root: Path, unlabelled: Path | None, scale: str, threads: int | None
) -> bool:
    """Registers a dataset and computes its video stages; whether all of them are stored."""
    sizes = _scale(scale)
    store = Store(home)
    dataset = _register(store, name, layout, root, unlabelled)
    videos = standalone(dataset.videos(fps=sizes.feature_fps, size_px=sizes.store_px))
    machine = Machine(local=True, threads=threads, gpus_per_worker=0)
    outcome = _computed(make_plan(videos, store), store, machine)
    new_console().print(audits_table(videos, store), highlight=False)
    return not outcome.failures


def make_videos(folder: Path, num_videos: int, minutes: float, seed: int) -> None:
    """Makes synthetic videos, with a progress bar on terminals."""
    with _bar("making videos", num_videos) as (progress, task):
        synthesize(
            folder,
            num_videos=num_videos,
            minutes=minutes,
            seed=seed,
            num_processes=available_cpus(),
            report=lambda done: progress.update(task, completed=done),
        )


def dataset_records(home: Path) -> list[dict[str, Any]]:
    """One record per registered dataset."""
    loaded = [datasets.load(home / "datasets", name) for name in datasets.names(home / "datasets")]
    return [
        {
            "name": dataset.name,
            "layout": dataset.layout,
            "videos": len(dataset.recordings),
            "hours": sum(recording.num_frames for recording in dataset.recordings) / NOMINAL_FPS / 3600,
            "root": dataset.root,
        }
        for dataset in loaded
    ]


def _conditions(store: Store, request: Request) -> Conditions:
    if request.preset not in PRESETS:
        raise InputError(f"no preset named {request.preset!r}{nearest(request.preset, PRESETS)}")
    scale = _scale(request.scale)
    folder = store.home / "datasets"
    name = request.dataset or (DEMO if request.scale == DEMO else FULL_SCALE_DATASET)
    if name == DEMO and DEMO not in datasets.names(folder):
        _make_demo_dataset(store)
    dataset = datasets.load(folder, name)
    weights = tuple(weights_registry.load(store.home / "weights", each) for each in request.weights)
    return Conditions(preset=PRESETS[request.preset], scale=scale, dataset=dataset, weights=weights)


def _scale(name: str) -> Scale:
    if name not in SCALES:
        raise InputError(f"no scale named {name!r}{nearest(name, SCALES)}")
    return SCALES[name]


def _make_demo_dataset(store: Store) -> None:
    click.echo(f"making the demo's {DEMO_VIDEOS} surgical-like videos …", err=True)
    folder = store.home / "demo-videos"
    make_videos(folder, DEMO_VIDEOS, DEMO_MINUTES, seed=0)
    _register(store, DEMO, "cholec80", folder)


def _register(store: Store, name: str, layout: str, root: Path, unlabelled: Path | None = None) -> datasets.Dataset:
    with _bar("digesting videos", None) as (progress, task):
        return datasets.register(
            store.home / "datasets", name, layout, root, lambda video: progress.advance(task), unlabelled
        )


def _computed(plan: Plan, store: Store, machine: Machine, *observers: Observer) -> Outcome:
    with observer_for(plan, new_console()) as display:
        observer = Observers(display, *observers)
        if machine.local:
            profile = machine.profile_of(available_cpus(), _num_gpus())
            _check(plan, profile)
            return run_locally(plan, store, profile.grant, observer)
        return run_on_ray(plan, store, machine.profile_of, observer, address=machine.address)


def _check(plan: Plan, profile: Profile) -> None:
    for stage_key in plan.missing:
        plan.stages[stage_key].check(profile.grant(plan.stages[stage_key]))


def _num_gpus() -> int:
    import torch  # a second; needed here alone

    return torch.cuda.device_count()


@contextmanager
def _bar(title: str, total: int | None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on standard error, on terminals alone."""
    console = new_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task(title, total=total)
