"""Running a planned search: its trials are computed here or through Ray, and logged to MLflow."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import click
from rich.markup import escape

from study.cli.execute import num_gpus
from study.cli.resources import ComputeTarget
from study.cli.search_planning import PlannedSearch
from study.cli.search_reporting import SearchReporter
from study.console.tables import new_console
from study.core.graph import walk
from study.core.plan import make_plan
from study.execution.events import Observer, Observers
from study.execution.executor import check_granted
from study.search.lines import SearchNarrator
from study.search.loop import Campaign, SearchObserver, search_here
from study.search.optuna_study import Suggestions
from study.search.request import folder_name, remember_search
from study.search.tracker import SearchTracker
from trainers.runtime.cpus import available_cpus
from trainers.stage import InputError

HOUR_SECONDS = 3600


@contextmanager
def exclusive(planned: PlannedSearch) -> Iterator[None]:
    """Keeps other processes of this home from the same search: they would take its running trials for unfinished ones.

    Raises:
        InputError: another process runs it.
    """
    planned.folder.mkdir(parents=True, exist_ok=True)
    with (planned.folder / "lock").open("w") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is at search {planned.search.name} in {planned.home}: wait for it, or "
                f"`freelunch stop {planned.search.name}` ends it."
            ) from None
        yield


class SearchRun:
    """One run of a search.

    Args:
        planned: the search.
        suggestions: its Optuna study, open.
        reporter: writes its report.

    Attributes:
        stopped_by: why the search ended early, if it did.
        num_failed: number of trials that have failed in this run.
    """

    def __init__(self, planned: PlannedSearch, suggestions: Suggestions, reporter: SearchReporter) -> None:
        self._planned, self._suggestions, self._reporter = planned, suggestions, reporter
        self.stopped_by: str | None = None
        self.num_failed = 0

    def compute(self, target: ComputeTarget, *, mlflow: bool) -> None:
        """Computes trials until there are enough, and writes the report whatever ends them, where that is possible."""
        planned, best = self._planned, self._reporter.best()
        remember_search(planned.asking, planned.home)
        console = new_console()
        console.print(self._opening_line(), highlight=False, soft_wrap=True)
        for note in planned.label_notes():
            console.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
        best_value = best.values[0] if best else None
        narrator = SearchNarrator(planned.search.objective, console, best_value, planned.home)
        with ExitStack() as stack:
            trackers = [stack.enter_context(self._tracker())] if mlflow else []
            try:
                self._search(target, (narrator, *trackers), Observers(narrator, *trackers))
            except BaseException:
                with suppress(Exception):  # a full disk or a lost storage fails the report too: the first error counts
                    self._report(trackers)
                raise
            self._report(trackers)

    def _report(self, trackers: list[SearchTracker]) -> None:
        self._reporter.write()
        for tracker in trackers:
            tracker.take_report(self._planned.folder, self._reporter.summary())

    def _search(self, target: ComputeTarget, observers: tuple[SearchObserver, ...], observer: Observer) -> None:
        planned, asking = self._planned, self._planned.asking
        campaign = Campaign(
            space=planned.space,
            store=planned.store,
            suggestions=self._suggestions,
            num_trials=asking.num_trials,
            seconds=None if asking.hours is None else asking.hours * HOUR_SECONDS,
            observers=observers,
        )
        if target.local:
            grant = target.profile_of(available_cpus(), num_gpus()).grant
            for stage in walk(*(corner.stage for corner in planned.space.corners())).values():
                check_granted(stage, grant)
            search_here(campaign, planned.store, grant, observer)
        elif campaign.has_more():
            from study.search.on_ray import search_on_ray

            search_on_ray(
                campaign,
                planned.space,
                planned.store,
                target.profile_of,
                observer,
                address=target.address,
                at_once=asking.at_once,
            )
        self.stopped_by, self.num_failed = campaign.stopped_by, campaign.num_failed
        if campaign.used_up:
            click.echo("every point of the space has been tried.")

    def _tracker(self) -> SearchTracker:
        planned = self._planned
        return SearchTracker(
            search=planned.search,
            suggestions=self._suggestions,
            home=planned.home,
            request=replace(planned.asking.request, study=folder_name(planned.search.name)),
            plan=make_plan((), planned.store),
            store=planned.store,
            context=self._reporter.context(),
            uri=os.environ.get("MLFLOW_TRACKING_URI"),
        )

    def _opening_line(self) -> str:
        planned, trials = self._planned, self._suggestions.trials()
        known = f"; {len(trials)} of them are known from earlier runs" if trials else ""
        return (
            f"search [bold]{planned.search.name}[/] over {len(planned.space.axes)} hyperparameters, "
            f"{planned.asking.num_trials} trials{known}: {escape(planned.search.objective.title)}"
        )
