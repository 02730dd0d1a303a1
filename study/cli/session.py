"""The composition root: a request becomes a study's trials on a dataset, their plan, and its computation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import Progress

from search_spaces.catalogue import STUDIES
from search_spaces.presets import PRESETS, SCALES, Conditions, Scale
from study.events import Outcome
from study.local import run as run_locally
from study.plan import Plan, make_plan
from study.profile import Profile
from study.progress import observer_for
from study.request import Request, remembered_problems
from study.screens import audits_table, new_console, plan_line, problems_of, report_table
from study.spec import Study, Trial, nearest, standalone
from study.store import Store, versions
from trainers.data import datasets
from trainers.data.synthetic import synthesize
from trainers.data.video_file import NOMINAL_FPS
from trainers.stage import InputError, Resources

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

    def __init__(self, home: Path, request: Request) -> None:
        self.request = request
        self.study: Study = named_study(request.study)
        self.store = Store(home)
        self.conditions: Conditions = _conditions(self.store, request)
        self.trials: tuple[Trial, ...] = self.study.trials(
            self.conditions, seeds=range(request.seeds), settings=request.settings, only=request.rows
        )
        self.plan: Plan = make_plan(self.trials, self.store)

    def sides(self) -> dict[str, int]:
        """How many videos train, validate and test."""
        split = self.conditions.videos()
        return {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}

    def compute(self, threads: int | None, gpus: int | None) -> dict[str, str]:
        """Computes what is missing, and returns why stages failed, a sentence by key."""
        console = new_console()
        console.print(plan_line(self.plan), highlight=False)
        for warning in self.plan.warnings:
            console.print(f"[yellow]note[/] {escape(warning)}", highlight=False)
        outcome = _computed(self.plan, self.store, _profile(threads, gpus))
        return {stage_key: failure.sentence for stage_key, failure in outcome.failures.items()}

    def show_report(self) -> None:
        """Writes the report, and prints its table and where it lies."""
        from study.report import write_picture, write_report  # Matplotlib, SciPy and statsmodels take seconds to import

        console, home = new_console(), self.store.home
        problems = problems_of(self.plan, self.store, remembered_problems(self.request, home))
        folder = self.request.folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        context = self._context()
        written = write_report(self.study, self.trials, self.store, folder, context=context, problems=problems)
        summary = {name: context[name] for name in ("scale", "dataset", "seeds")}
        write_picture(self.study, self.trials, self.store, folder / "overview.png", context=summary)
        console.print(report_table(written), highlight=False)
        for number, sentence in problems.items():
            console.print(
                f"[yellow]{self.trials[number].label}[/]: {escape(sentence)}", highlight=False, soft_wrap=True
            )
        console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)

    def _context(self) -> dict[str, str]:
        """What the report says above its table."""
        request, conditions = self.request, self.conditions
        sides = ", ".join(f"{count} {side}" for side, count in self.sides().items())
        return {
            "preset": f"{request.preset}: {conditions.preset.description}",
            "scale": f"{request.scale}: {conditions.scale.description}",
            "dataset": f"{conditions.dataset.name}, {sides} videos",
            "seeds": str(request.seeds),
            "date": datetime.now(UTC).date().isoformat(),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": request.command("run", "--local"),
        }


def named_study(name: str) -> Study:
    """A study by its name.

    Raises:
        InputError: there is none.
    """
    if name not in STUDIES:
        raise InputError(f"no study named {name!r}{nearest(name, STUDIES)}")
    return STUDIES[name]


def ingest_videos(home: Path, name: str, layout: str, root: Path, scale: str, threads: int | None) -> bool:
    """Registers a dataset and computes its video stages; whether all of them are stored."""
    sizes = _scale(scale)
    store = Store(home)
    dataset = _register(store, name, layout, root)
    videos = standalone(dataset.videos(fps=sizes.feature_fps, size_px=sizes.store_px))
    outcome = _computed(make_plan(videos, store), store, _profile(threads, gpus=0))
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
            num_processes=os.cpu_count() or 1,
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
    return Conditions(preset=PRESETS[request.preset], scale=scale, dataset=datasets.load(folder, name))


def _scale(name: str) -> Scale:
    if name not in SCALES:
        raise InputError(f"no scale named {name!r}{nearest(name, SCALES)}")
    return SCALES[name]


def _make_demo_dataset(store: Store) -> None:
    click.echo(f"making the demo's {DEMO_VIDEOS} surgical-like videos …", err=True)
    folder = store.home / "demo-videos"
    make_videos(folder, DEMO_VIDEOS, DEMO_MINUTES, seed=0)
    _register(store, DEMO, "cholec80", folder)


def _register(store: Store, name: str, layout: str, root: Path) -> datasets.Dataset:
    with _bar("digesting videos", None) as (progress, task):
        return datasets.register(
            store.home / "datasets", name, layout, root, report=lambda video: progress.advance(task)
        )


def _computed(plan: Plan, store: Store, profile: Profile) -> Outcome:
    with observer_for(plan, new_console()) as observer:
        return run_locally(plan, store, profile.grant, observer)


def _profile(threads: int | None, gpus: int | None) -> Profile:
    import torch  # a second; needed here alone

    has_gpu = torch.cuda.is_available()
    whole_machine = Resources(threads=os.cpu_count() or 1, gpus=1 if has_gpu else 0)
    return Profile(default=whole_machine).having(threads=threads, gpus=gpus)


@contextmanager
def _bar(title: str, total: int | None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on standard error, on terminals alone."""
    console = new_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task(title, total=total)
