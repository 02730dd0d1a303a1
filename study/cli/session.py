"""The composition root: a request becomes a study's trials on a dataset, their plan, and its computation."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import Progress

from search_spaces.presets import PRESETS, SCALES, Conditions, Scale
from study.cli.machine import Machine
from study.cli.named import named_study
from study.collection import Collection, Part, parts_of, together
from study.events import Failure, Observer, Observers, Outcome
from study.graph import key
from study.live import observer_for
from study.local import run as run_locally
from study.plan import Plan, make_plan
from study.profile import Profile
from study.request import Request, most_seeds, remember, remembered_problems, requests_of
from study.runner import run_on_ray
from study.screens import (
    audits_table,
    new_console,
    parts_table,
    plan_line,
    problems_of,
    report_table,
    saving_line,
)
from study.spec import Study, Trial, nearest, standalone
from study.store import Store, versions
from study.tracking import Tracker, send_leftovers
from trainers import weights_registry
from trainers.data import datasets
from trainers.data.synthetic import synthesize
from trainers.data.video_file import NOMINAL_FPS
from trainers.machine import available_cpus
from trainers.stage import InputError, MachineError, Stage

DEMO = "demo"
DEMO_VIDEOS, DEMO_MINUTES = 32, 0.5
FULL_SCALE_DATASET = "cholec80"


class Session:
    """A request put together with everything it names.

    Attributes:
        request: what was asked.
        study: the study that it names, or the collection of them.
        store: the home's artifacts.
        conditions: preset, scale and dataset.
        parts: every study, with its own trials.
        trials: the trials of all, in table order.
        plan: their stages.

    Raises:
        InputError: the request names something that there is not, or a value that does not fit.
        MachineError: the home folder cannot be used.
    """

    def __init__(self, home: Path, request: Request, *, brief: bool = False) -> None:
        self.request = request
        self.study: Study | Collection = named_study(request.study)
        self.store = Store(home)
        self.conditions: Conditions = replace(conditions_of(self.store, request), brief=brief)
        self.parts: tuple[Part, ...] = parts_of(self.study, request, self.conditions, self.conditions.dataset.layout)
        self.trials: tuple[Trial, ...] = together(self.parts)
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
        if len(self.parts) > 1:
            console.print(parts_table(self.plan, self.parts), saving_line(self.plan), highlight=False)
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
        """Who keeps the trials in MLflow while they are computed, one for each part; nobody where not wanted."""
        if not mlflow:
            yield ()
            return
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if len(self.parts) > 1:
            with suppress(MachineError):  # no tracker does, lest it hold what another opens next
                send_leftovers(self.store.home, uri)
        with ExitStack() as stack:
            yield tuple(
                stack.enter_context(
                    Tracker(
                        home=self.store.home,
                        study=part.study,
                        request=part.request,
                        trials=part.trials,
                        plan=self.plan,
                        store=self.store,
                        context=self.context(part),
                        uri=uri,
                        is_alone=len(self.parts) == 1,
                    )
                )
                for part in self.parts
            )

    def remember(self, problems: dict[str, str], command: str) -> None:
        """Keeps what was asked, of every part as if it had been asked alone, and why stages failed."""
        for request in (self.request, *(part.request for part in self.parts)):
            remember(request, self.store.home, problems, command)

    def show_reports(self) -> list[tuple[Path, dict[int, str]]]:
        """Writes the report of every part, prints its table and where it lies.

        Returns:
            The folder of every report, and why trials have no result, a sentence by their number in the part.
        """
        return [self._show_report(part) for part in self.parts]

    def _show_report(self, part: Part) -> tuple[Path, dict[int, str]]:
        from study.report import write_picture, write_report  # Matplotlib, SciPy and statsmodels take seconds to import

        console, home = new_console(), self.store.home
        shown = make_plan(self._shown_trials(part), self.store)
        failures = remembered_problems(part.request, home)
        problems = problems_of(shown, self.store, failures)
        folder = part.request.folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        context = {**self.context(part), "seeds": str(len({trial.seed for trial in shown.trials}))}
        written = write_report(
            part.study,
            shown.trials,
            self.store,
            folder,
            context=context,
            problems=problems,
            beside=self._trials_elsewhere(part),
        )
        summary = {name: context[name] for name in ("scale", "dataset", "seeds")}
        write_picture(part.study, shown.trials, self.store, folder / "overview.png", context=summary)
        if len(self.parts) > 1:
            console.print(f"\n[bold]{part.study.name}[/]: {escape(part.study.title)}", highlight=False)
        console.print(report_table(written), highlight=False)
        labels = {trial.number: trial.label for trial in shown.trials}
        for number, sentence in problems.items():
            console.print(f"[yellow]{labels[number]}[/]: {escape(sentence)}", highlight=False, soft_wrap=True)
        console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
        return folder, problems_of(make_plan(part.trials, self.store), self.store, failures)

    def _shown_trials(self, part: Part) -> tuple[Trial, ...]:
        """The trials that were asked for, and those of other rows and seeds that earlier runs have finished."""
        asked = {(trial.row.name, trial.seed) for trial in part.trials}
        seeds = range(max(part.request.seeds, most_seeds(part.request, self.store.home)))
        trials = part.study.trials(self.conditions, seeds=seeds, settings=part.request.settings)
        return tuple(t for t in trials if (t.row.name, t.seed) in asked or self.store.find(key(t.stage)))

    def _trials_elsewhere(self, part: Part) -> dict[str, tuple[Trial, ...]]:
        """The trials of the same study, asked alike, on other datasets: what its curve is shown beside."""
        found: dict[str, tuple[Trial, ...]] = {}
        for other in requests_of(part.request.name, self.store.home) if part.study.curve else ():
            alike = replace(other, dataset=part.request.dataset, seeds=part.request.seeds, rows=part.request.rows)
            if alike != part.request or other.dataset == part.request.dataset:
                continue
            with suppress(InputError):  # that dataset is not there any more
                conditions = conditions_of(self.store, other)
                if conditions.dataset.name != self.conditions.dataset.name:
                    found[conditions.dataset.name] = part.study.trials(
                        conditions, seeds=range(other.seeds), settings=other.settings
                    )
        return found

    def context(self, part: Part) -> dict[str, str]:
        """What the report of a part says above its table."""
        request, conditions = part.request, self.conditions
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


def conditions_of(store: Store, request: Request) -> Conditions:
    """Preset, scale and dataset of a request.

    Raises:
        InputError: one of them does not exist.
    """
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


class ProblemKeeper(Observer):
    """Keeps at once why a stage failed, so that `status` knows while the others go on.

    Args:
        session: what runs.
        command: what was typed to run it.
    """

    def __init__(self, session: Session, command: str) -> None:
        self._session = session
        self._command = command
        self._problems: dict[str, str] = {}

    def failed(self, stage: Stage, failure: Failure) -> None:
        self._problems[key(stage)] = failure.sentence
        self._session.remember(self._problems, self._command)


def _computed(plan: Plan, store: Store, machine: Machine, *observers: Observer) -> Outcome:
    with observer_for(plan, new_console()) as display:
        observer = Observers(display, *observers)
        if machine.local:
            profile = machine.profile_of(available_cpus(), num_gpus())
            _check(plan, profile)
            return run_locally(plan, store, profile.grant, observer)
        return run_on_ray(plan, store, machine.profile_of, observer, address=machine.address)


def _check(plan: Plan, profile: Profile) -> None:
    for stage_key in plan.missing:
        plan.stages[stage_key].check(profile.grant(plan.stages[stage_key]))


def num_gpus() -> int:
    """The GPUs of this machine."""
    import torch  # a second; needed here alone

    return torch.cuda.device_count()


@contextmanager
def _bar(title: str, total: int | None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on standard error, on terminals alone."""
    console = new_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task(title, total=total)
