"""The composition root of searches: a request becomes a space, its memory, its computation, and its report."""

import fcntl
import os
import shlex
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.markup import escape

from search_spaces.protocol.label_notes import label_notes
from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import COLLECTIONS, STUDIES
from study.cli.execute import num_gpus
from study.cli.planning import conditions_of
from study.cli.resources import ComputeTarget
from study.console.tables import new_console
from study.core.graph import walk
from study.core.plan import make_plan
from study.core.store import Store, versions
from study.execution.events import Observer, Observers
from study.execution.executor import check_granted
from study.home.commands import program
from study.home.request import Request
from study.home.text import nearest
from study.search.lines import SearchNarrator
from study.search.loop import Campaign, SearchObserver, search_here
from study.search.optuna_study import Suggestions, parameters_of
from study.search.pruner import Halving
from study.search.report import Found, best_of, write_search_report
from study.search.request import Asking, folder_name, remember_search
from study.search.space import Parameters, Search, Space
from study.search.tracker import SearchTracker
from study.tracking.journal import locked
from trainers.runtime.cpus import available_cpus
from trainers.stage import InputError

HOUR_SECONDS = 3600


class PlannedSearch:
    """A search with everything that it names; used as a context, at whose end its storage is closed.

    Raises:
        InputError: there is no such search, a value does not fit, there is nothing to search, or the storage holds
            another search of its name.
        MachineError: the home folder or the storage cannot be used, be it now or later in the block.

    Attributes:
        stopped_by: why the search ended before its time, if it did.
        num_failed: how many trials have failed in this run.
    """

    def __init__(self, home: Path, asking: Asking) -> None:
        self._asking, self._request = asking, asking.request
        self.search = find_search(self._request.study)
        self._home = home
        self.store = Store(home)
        self.conditions = conditions_of(self.store, self._request)
        self.space: Space = self.search.under(self.conditions, self._request.settings)
        self.halving = _halving(self.space)
        self.folder = asking.folder(self.store.home)
        self.stopped_by: str | None = None
        self.num_failed = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.suggestions = self._stack.enter_context(
            Suggestions(
                name=self._asking.optuna_name,
                space=self.space,
                seed=self._asking.seed,
                url=self._asking.url(self.store.home),
                driver=_driver_id(self.store.home),
                halving=self.halving,
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other processes of this home from the same search: they would take its trials for left behind.

        Raises:
            InputError: another process is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"another process is at search {self.search.name} in {self.store.home}: wait for it, or "
                    f"`freelunch stop {self.search.name}` ends it."
                ) from None
            yield

    def compute(self, machine: ComputeTarget, mlflow: bool) -> None:
        """Computes trials until there are enough, and writes the report, whatever ends it, where that can be done."""
        remember_search(self._asking, self.store.home)
        console = new_console()
        console.print(self._opening_line(), highlight=False, soft_wrap=True)
        for note in self._label_notes():
            console.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
        best = best_of(self.suggestions.trials(), maximised=self.search.objective.maximised)
        narrator = SearchNarrator(self.search.objective, console, best.values[0] if best else None, self._home)
        with ExitStack() as stack:
            trackers = [stack.enter_context(self._tracker())] if mlflow else []
            try:
                self._search(machine, (narrator, *trackers), Observers(narrator, *trackers))
            except BaseException:
                with suppress(Exception):  # a full disk or a lost storage ends the report too: the first word counts
                    self._report(trackers)
                raise
            self._report(trackers)

    def found(self) -> Found:
        """What the search has come to so far."""
        return Found(
            space=self.space,
            study=self.suggestions.study,
            halving=self.halving,
            evaluation=self.evaluation(),
            context=self._context(),
        )

    def show_report(self) -> None:
        """Writes the report, and prints the best settings and where it lies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        report = write_search_report(self.found(), self.folder)
        console = new_console()
        console.print(escape(self._summary()), highlight=False, soft_wrap=True)
        console.print(f"report: {report}", highlight=False, soft_wrap=True)

    def outlook(self) -> list[str]:
        """What to type next."""
        dashboard = f"optuna-dashboard {shlex.quote(self.suggestions.url)}"
        evaluation = self.evaluation()
        return [
            *([f"evaluate the best on the test videos, once: {evaluation}"] if evaluation else []),
            f"look at the search (pip install optuna-dashboard): {dashboard}",
        ]

    def evaluation(self) -> str | None:
        """The command that evaluates the best trial on test videos; None before there is one."""
        best = best_of(self.suggestions.trials(), maximised=self.search.objective.maximised)
        if best is None:
            return None
        request = self.evaluating(parameters_of(best))
        return request.command("run", program=program(self._home))

    def evaluating(self, parameters: Parameters) -> Request:
        """The request that evaluates a point on test videos: a row of a study, and settings."""
        study = STUDIES[self.search.evaluated_in]
        values = {name: value for name, value in {**self.space.fixed, **parameters}.items() if value is not None}
        varied = {name: value for name, value in values.items() if name in study.axes}
        rows = [row.name for row in study.all_rows() if not row.baseline and varied and row.parameters == varied]
        settings = {name: str(value) for name, value in values.items() if name not in varied}
        return replace(self._request, study=study.name, settings=settings, rows=tuple(rows))

    def _report(self, trackers: list[SearchTracker]) -> None:
        write_search_report(self.found(), self.folder)
        for tracker in trackers:
            tracker.take_report(self.folder, self._summary())

    def _search(self, machine: ComputeTarget, observers: tuple[SearchObserver, ...], observer: Observer) -> None:
        hours = self._asking.hours
        campaign = Campaign(
            space=self.space,
            store=self.store,
            suggestions=self.suggestions,
            num_trials=self._asking.num_trials,
            seconds=None if hours is None else hours * HOUR_SECONDS,
            observers=observers,
        )
        if machine.local:
            grant = machine.profile_of(available_cpus(), num_gpus()).grant
            for stage in walk(*(corner.stage for corner in self.space.corners())).values():
                check_granted(stage, grant)
            search_here(campaign, self.store, grant, observer)
        elif campaign.has_more():
            from study.search.on_ray import search_on_ray

            search_on_ray(
                campaign,
                self.space,
                self.store,
                machine.profile_of,
                observer,
                address=machine.address,
                at_once=self._asking.at_once,
            )
        self.stopped_by, self.num_failed = campaign.stopped_by, campaign.num_failed
        if campaign.used_up:
            click.echo("every point of the space has been tried.")

    def _tracker(self) -> SearchTracker:
        return SearchTracker(
            search=self.search,
            suggestions=self.suggestions,
            home=self.store.home,
            request=replace(self._request, study=folder_name(self.search.name)),
            plan=make_plan((), self.store),
            store=self.store,
            context=self._context(),
            uri=os.environ.get("MLFLOW_TRACKING_URI"),
        )

    def _opening_line(self) -> str:
        trials = self.suggestions.trials()
        known = f"; {len(trials)} of them are known from earlier runs" if trials else ""
        return (
            f"search [bold]{self.search.name}[/] over {len(self.space.axes)} hyperparameters, "
            f"{self._asking.num_trials} trials{known}: {escape(self.search.objective.title)}"
        )

    def _summary(self) -> str:
        """The best settings in a sentence."""
        trials, objective = self.suggestions.trials(), self.search.objective
        best = best_of(trials, maximised=objective.maximised)
        if best is None:
            return f"{len(trials)} trials, none of them completed yet."
        settings = ", ".join(f"{name} {value}" for name, value in parameters_of(best).items())
        return (
            f"best of {len(trials)} trials: trial {best.number}, {best.values[0]:.2f} ({objective.title}): {settings}"
        )

    def _context(self) -> dict[str, str]:
        split = self.conditions.videos()
        return {
            "preset": f"{self._request.preset}: {self.conditions.preset.description}",
            "scale": f"{self._request.scale}: {self.conditions.scale.description}",
            "dataset": f"{self.conditions.dataset.name}, {len(split.train)} train, {len(split.validation)} validation",
            "objective": self.search.objective.title,
            "date": datetime.now(UTC).date().isoformat(),
            "Optuna": f"{self.suggestions.name} in {self.suggestions.url}",
            "notes": " ".join((*self.conditions.notes, *self._label_notes())),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
            "command": f"`{replace(self._asking, options=()).command()}`",
        }

    def _label_notes(self) -> tuple[str, ...]:
        """Sentences for label fractions that take more videos than they ask for; corners have what was fixed."""
        return label_notes(self.conditions, self.space.corners())


def find_search(name: str) -> Search:
    """A search by its name.

    Raises:
        InputError: there is none.
    """
    if name in STUDIES or name in COLLECTIONS:
        raise InputError(f"{name!r} is a study, not a search: `freelunch run {name}` runs it.")
    if name not in SEARCHES:
        raise InputError(f"no search named {name!r}{nearest(name, SEARCHES)}")
    return SEARCHES[name]


def _halving(space: Space) -> Halving | None:
    """When trials are stopped early, by how long the watched stage of a trial takes."""
    watched = space.search.objective.watched(space.corners()[0].stage)
    return Halving(watched.epochs) if watched else None


def _driver_id(home: Path) -> str:
    """What this home's trials are known by in a database that several homes share."""
    path = home / "searches" / "driver"
    with locked(path.with_name("lock")):  # two first searches of a home are one driver
        if not path.exists():
            part = path.with_name("driver.part")
            part.write_text(uuid.uuid4().hex)
            part.rename(path)
    return path.read_text()
