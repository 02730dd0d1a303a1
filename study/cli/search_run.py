"""Running a planned search: its trials are computed here or through Ray, and logged to MLflow."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import click
from rich.markup import escape

from study.cli.resources import ComputeTarget
from study.cli.search_planning import PlannedSearch
from study.cli.search_reporting import SearchReporter
from study.cli.tapes import search_choice
from study.console.outlook_tables import outlook_table
from study.console.terminal import new_console
from study.core.graph import walk
from study.core.outlook import PlannedMachine
from study.core.plan import Plan
from study.core.study import Trial
from study.execution.events import Observer, Observers
from study.execution.executor import check_granted
from study.home.files import try_lock
from study.home.searches import folder_name
from study.search.in_process import search_locally
from study.search.lines import SearchLinePrinter
from study.search.loop import SearchLoop
from study.search.observer import SearchObserver
from study.search.optuna_study import OptunaStudy
from study.search.request import SearchRequest, remember_search
from study.search.space import Parameters
from study.search.tracker import SearchContext, SearchTracker, as_study
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import num_gpus
from trainers.stage import InputError

HOUR_SECONDS = 3600
EXPECTED = "expected of the trials that are left, as if their points were drawn at random and none were stopped early:"


@contextmanager
def exclusive(planned: PlannedSearch) -> Iterator[None]:
    """Keeps other processes of this home from the same search: they would take its running trials for unfinished ones.

    Raises:
        InputError: another process runs it.
    """
    planned.folder.mkdir(parents=True, exist_ok=True)
    with (planned.folder / "lock").open("w") as file:
        if not try_lock(file):
            raise InputError(
                f"another process is at search {planned.search.name} in {planned.home}: wait for it, or "
                f"`freelunch stop {planned.search.name}` ends it."
            )
        yield


class RequestRecorder(SearchObserver):
    """Keeps a request as the latest of its search once its first trial begins: until then it may be refused.

    Args:
        search_request: the request.
        home: the home folder.

    Attributes:
        is_kept: whether it is kept.
    """

    def __init__(self, search_request: SearchRequest, home: Path) -> None:
        self._search_request, self._home = search_request, home
        self.is_kept = False

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        self.keep()

    def point_refused(self, number: int, parameters: Parameters, problem: str) -> None:
        self.keep()

    def keep(self) -> None:
        """Keeps the request, if that was not done before."""
        if not self.is_kept:
            remember_search(self._search_request, self._home)
            self.is_kept = True


class SearchRun:
    """One run of a search.

    Args:
        planned: the search.
        optuna_study: its Optuna study, open.
        reporter: writes its report.

    Attributes:
        stop_reason: why the search ended early, if it did.
        num_failed: number of trials that have failed in this run.
    """

    def __init__(self, planned: PlannedSearch, optuna_study: OptunaStudy, reporter: SearchReporter) -> None:
        self._planned, self._optuna_study, self._reporter = planned, optuna_study, reporter
        self.stop_reason: str | None = None
        self.num_failed = 0

    def compute(self, target: ComputeTarget, machine: PlannedMachine, *watches: Observer, mlflow: bool) -> None:
        """Computes trials until there are enough, and writes the report even after an error, where that is possible.

        Where no trial begins because of an error, there is no report either, and the request is not kept.

        Args:
            target: where.
            machine: the same, as plans know it.
            watches: further observers, which may end the search.
            mlflow: whether trials are logged.
        """
        planned, best = self._planned, self._reporter.best()
        console = new_console()
        console.print(self._opening_line(), highlight=False, soft_wrap=True)
        tapes = search_choice(target.tapes(planned.home))
        expected = planned.expected_plan(machine, len(self._optuna_study.trials()), tapes)
        if expected.missing:
            console.print(EXPECTED, outlook_table(expected, (), machine, energy=False), highlight=False, soft_wrap=True)
        for note in planned.trial_notes():
            console.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
        best_value = best.values[0] if best else None
        narrator = SearchLinePrinter(planned.search.objective, console, best_value, planned.home)
        recorder = RequestRecorder(planned.search_request, planned.home)
        with ExitStack() as stack:
            trackers = [stack.enter_context(self._tracker())] if mlflow else []
            try:
                self._search(target, (recorder, narrator, *trackers), Observers(narrator, *trackers, *watches))
            except BaseException:
                with suppress(Exception):  # a full disk or a lost storage fails the report too: the first error counts
                    if recorder.is_kept:
                        self._report(trackers)
                raise
            recorder.keep()
            self._report(trackers)

    def _report(self, trackers: list[SearchTracker]) -> None:
        self._reporter.write()
        for tracker in trackers:
            tracker.take_report(self._planned.folder, self._reporter.summary())

    def _search(self, target: ComputeTarget, observers: tuple[SearchObserver, ...], observer: Observer) -> None:
        planned, search_request = self._planned, self._planned.search_request
        loop = SearchLoop(
            space=planned.space,
            store=planned.store,
            optuna_study=self._optuna_study,
            num_trials=search_request.num_trials,
            seconds=None if search_request.hours is None else search_request.hours * HOUR_SECONDS,
            observers=observers,
            tapes=search_choice(target.tapes(planned.home)),
        )
        if target.local:
            grant = target.profile_of(available_cpus(), num_gpus()).grant
            for stage in walk(*(extreme.stage for extreme in planned.space.extreme_trials())).values():
                check_granted(stage, grant)
            search_locally(loop, planned.store, grant, observer)
        elif loop.has_more():
            from study.execution.ray.options import TuneOptions
            from study.search.on_ray import search_on_ray

            search_on_ray(
                loop,
                planned.space,
                planned.store,
                target.profile_of,
                observer,
                address=target.address,
                options=TuneOptions(callbacks=target.callbacks, max_concurrent=search_request.at_once),
            )
        loop.remove_tapes()
        self.stop_reason, self.num_failed = loop.stop_reason, loop.num_failed
        if loop.is_exhausted:
            click.echo("every point of the space has been tried.")

    def _tracker(self) -> SearchTracker:
        planned = self._planned
        request = replace(planned.search_request.request, study=folder_name(planned.search.name))
        return SearchTracker(
            optuna_study=self._optuna_study,
            context=SearchContext.of(as_study(planned.search), request, self._reporter.context()),
            store=planned.store,
            uri=os.environ.get("MLFLOW_TRACKING_URI"),
        )

    def _opening_line(self) -> str:
        planned, trials = self._planned, self._optuna_study.trials()
        known = f"; {len(trials)} of them are known from earlier runs" if trials else ""
        return (
            f"search [bold]{planned.search.name}[/] over {len(planned.space.axes)} hyperparameters, "
            f"{planned.search_request.num_trials} trials{known}: {escape(planned.search.objective.title)}"
        )
