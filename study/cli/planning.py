"""The composition root: a request becomes a study's trials on a dataset, their plan, and its computation."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.label_notes import label_notes
from search_spaces.protocol.presets import PRESETS
from study.cli.execute import compute
from study.cli.resolve import check_last_stages, find_study, translate_own_study_errors
from study.cli.resources import ComputeTarget
from study.cli.videos import DEMO, find_scale, make_demo_dataset
from study.console.tables import new_console, parts_table, plan_line, problems_of, report_table, saving_line
from study.core.graph import key
from study.core.plan import Plan, make_plan
from study.core.store import Store, versions
from study.core.study import Study, Trial, setting_notes
from study.core.suite import Collection, Part, parts_of, together
from study.execution.events import Failure, Observer
from study.home.commands import expand_commands
from study.home.request import Request, most_seeds, save_request, saved_problems, saved_requests
from study.home.text import nearest
from study.tracking.tracker import Tracker, send_leftovers
from trainers.data.datasets import registry as datasets
from trainers.pretrained import registry as weights_registry
from trainers.stage import InputError, MachineError, Stage

if TYPE_CHECKING:
    from study.report.study_report import Report

FULL_SCALE_DATASET = "cholec80"
PUBLISHED_NOTE = "Published numbers are of the paper's settings, not of those that --set has fixed."


class PlannedStudy:
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
        self.study: Study | Collection = find_study(request.study)
        self.store = Store(home)
        self.conditions: Conditions = replace(conditions_of(self.store, request), brief=brief)
        layout = self.conditions.dataset.layout
        with translate_own_study_errors(request.study):
            self.parts: tuple[Part, ...] = parts_of(self.study, request, self.conditions, layout)
            self.trials: tuple[Trial, ...] = together(self.parts)
            check_last_stages(self.trials)
            self.plan: Plan = make_plan(self.trials, self.store)

    def sides(self) -> dict[str, int]:
        """How many videos train, validate and test, and how many have no annotations, where any have none."""
        split = self.conditions.videos()
        sides = {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
        return sides | ({"unlabelled": len(split.unlabelled)} if split.unlabelled else {})

    def compute(self, machine: ComputeTarget, *observers: Observer) -> dict[str, str]:
        """Computes what is missing, and returns why stages failed, a sentence by key."""
        console = new_console()
        console.print(plan_line(self.plan), highlight=False)
        if len(self.parts) > 1:
            console.print(parts_table(self.plan, self.parts), saving_line(self.plan), highlight=False)
        for warning in (*self._notes_of(self.parts), *self.plan.warnings):
            console.print(f"[yellow]note[/] {escape(expand_commands(warning, self.store.home))}", highlight=False)
        outcome = compute(self.plan, self.store, machine, *observers)
        return {stage_key: failure.sentence for stage_key, failure in outcome.failures.items()}

    def check(self, machine: ComputeTarget) -> dict[str, str]:
        """Computes what is missing of a brief session, and removes what is of no use to a whole one."""
        whole = PlannedStudy(self.store.home, self.request)
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
            save_request(request, self.store.home, problems, command)

    def show_reports(self) -> list[tuple[Path, dict[int, str]]]:
        """Writes the report of every part, prints its table and where it lies.

        Returns:
            The folder of every report, and why trials have no result, a sentence by their number in the part.
        """
        shown = [self._shown(part) for part in self.parts]
        reports = [self._show_report(part) for part in shown]
        if isinstance(self.study, Collection):
            known = {part.study.name: (part, report) for part, report in zip(shown, reports, strict=True)}
            self._show_overview(self.study, known)
        return [(report.html.parent, self._problems(part)) for part, report in zip(self.parts, reports, strict=True)]

    def _show_report(self, part: Part) -> "Report":
        """Writes the report of one study, and prints its table and where it lies."""
        console, problems = new_console(), self._problems(part)
        written = self._write_report(part, problems)
        if len(self.parts) > 1:
            console.print(f"\n[bold]{part.study.name}[/]: {escape(part.study.title)}", highlight=False)
        console.print(report_table(written), highlight=False)
        labels = {trial.number: trial.label for trial in part.trials}
        for number, sentence in problems.items():
            said = escape(expand_commands(sentence, self.store.home))
            console.print(f"[yellow]{labels[number]}[/]: {said}", highlight=False, soft_wrap=True)
        console.print(f"report: {written.html}", highlight=False, soft_wrap=True)
        return written

    def _write_report(self, part: Part, problems: Mapping[int, str]) -> "Report":
        """Writes the report of one study, and why trials of it have no result."""
        from study.report.study_report import write_picture, write_report

        folder = part.request.folder(self.store.home)
        folder.mkdir(parents=True, exist_ok=True)
        context = self.context(part)
        written = write_report(
            part.study,
            part.trials,
            self.store,
            folder,
            context=context,
            problems=problems,
            beside=self._trials_elsewhere(part),
        )
        summary = {name: context[name] for name in ("scale", "dataset", "seeds")}
        write_picture(part.study, part.trials, self.store, folder / "overview.png", context=summary)
        return written

    def _show_overview(self, collection: Collection, known: Mapping[str, tuple[Part, "Report"]]) -> None:
        """Writes the page over the studies of a collection, the known ones and others, and prints where it lies."""
        from study.report.suite_report import write_overview

        found = dict(known)
        for other in self._other_parts(collection):
            found[other.study.name] = (other, self._write_report(other, self._problems(other)))
        parts, reports = zip(*(found[study.name] for study in collection.studies if study.name in found), strict=True)
        trials = together(parts)
        num_seeds = sorted(len({trial.seed for trial in part.trials}) for part in parts)
        context = self._context_of(self.request, parts)
        context["seeds"] = " to ".join(map(str, dict.fromkeys((num_seeds[0], num_seeds[-1]))))
        page = write_overview(
            collection,
            parts,
            reports,
            make_plan(trials, self.store),
            self.store,
            self.request.folder(self.store.home),
            context=context,
        )
        new_console().print(f"\nreport: {page}", highlight=False, soft_wrap=True)

    def _problems(self, part: Part) -> dict[int, str]:
        """Why trials of a part have no result, a sentence by their number."""
        failures = saved_problems(part.request, self.store.home)
        return problems_of(make_plan(part.trials, self.store), self.store, failures)

    def _other_parts(self, collection: Collection) -> list[Part]:
        """The studies of a collection that no row is asked of now, as earlier runs have asked and finished them."""
        home, asked = self.store.home, {part.study.name for part in self.parts}
        found: list[Part] = []
        for study in [study for study in collection.studies if study.name not in asked]:
            folder = replace(self.request, study=study.name).folder(home)
            for request in [each for each in saved_requests(study.name, home) if each.folder(home) == folder]:
                with suppress(InputError):  # a row of it is not there any more
                    found += parts_of(study, request, self.conditions, self.conditions.dataset.layout)
        shown = map(self._shown, found)
        return [part for part in shown if any(self.store.find(key(trial.stage)) for trial in part.trials)]

    def _shown(self, part: Part) -> Part:
        """A part with the trials that its report shows."""
        return replace(part, trials=self._shown_trials(part))

    def _shown_trials(self, part: Part) -> tuple[Trial, ...]:
        """The trials that were asked for, and those of other rows and seeds that earlier runs have finished."""
        asked = {(trial.row.name, trial.seed) for trial in part.trials}
        seeds = range(max(part.request.seeds, most_seeds(part.request, self.store.home)))
        trials = part.study.trials(self.conditions, seeds=seeds, settings=part.request.settings)
        return tuple(t for t in trials if (t.row.name, t.seed) in asked or self.store.find(key(t.stage)))

    def _trials_elsewhere(self, part: Part) -> dict[str, tuple[Trial, ...]]:
        """The trials of the same study, asked alike, on other datasets: what its curve is shown beside."""
        found: dict[str, tuple[Trial, ...]] = {}
        for other in saved_requests(part.request.name, self.store.home) if part.study.curve else ():
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
        return self._context_of(part.request, (part,))

    def notes(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """Sentences that a plan and a report of these parts must show."""
        return (*self.conditions.notes, *self._notes_of(parts))

    def _notes_of(self, parts: Sequence[Part]) -> tuple[str, ...]:
        settings, trials = self.request.settings, together(parts)
        published = (PUBLISHED_NOTE,) if settings and any(part.study.published for part in parts) else ()
        with translate_own_study_errors(self.request.study):
            return (*label_notes(self.conditions, trials), *setting_notes(trials, settings), *published)

    def _context_of(self, request: Request, parts: Sequence[Part]) -> dict[str, str]:
        conditions, trials = self.conditions, together(parts)
        sides = ", ".join(f"{count} {side}" for side, count in self.sides().items())
        return {
            "preset": f"{request.preset}: {conditions.preset.description}",
            "scale": f"{request.scale}: {conditions.scale.description}",
            "dataset": f"{conditions.dataset.name}, {sides} videos",
            "seeds": str(len({trial.seed for trial in trials})),
            "date": datetime.now(UTC).date().isoformat(),
            "notes": " ".join(self.notes(parts)),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": request.command("run"),
        }


def conditions_of(store: Store, request: Request) -> Conditions:
    """Preset, scale and dataset of a request.

    Raises:
        InputError: one of them does not exist.
    """
    if request.preset not in PRESETS:
        raise InputError(f"no preset named {request.preset!r}{nearest(request.preset, PRESETS)}")
    scale = find_scale(request.scale)
    folder = store.home / "datasets"
    name = request.dataset or (DEMO if request.scale == DEMO else FULL_SCALE_DATASET)
    if name == DEMO and DEMO not in datasets.names(folder):
        make_demo_dataset(store)
    dataset = datasets.load(folder, name)
    weights = tuple(weights_registry.load(store.home / "weights", each) for each in request.weights)
    return Conditions(preset=PRESETS[request.preset], scale=scale, dataset=dataset, weights=weights)


class ProblemKeeper(Observer):
    """Keeps at once why a stage failed, so that `status` knows while the others go on.

    Args:
        session: what runs.
        command: what was typed to run it.
    """

    def __init__(self, session: PlannedStudy, command: str) -> None:
        self._session = session
        self._command = command
        self._problems: dict[str, str] = {}

    def failed(self, stage: Stage, failure: Failure) -> None:
        self._problems[key(stage)] = failure.sentence
        self._session.remember(self._problems, self._command)
