"""Running a planned study: its computation, its trackers, and the record of the run in the home folder."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from rich.markup import escape

from study.cli.execute import compute
from study.cli.planning import PlannedStudy
from study.cli.resources import ComputeTarget
from study.console.plan_tables import parts_table, plan_line, saving_line, tape_lines
from study.console.terminal import new_console
from study.core.graph import key
from study.core.suite import Part
from study.execution.events import Failure, Observer
from study.home.commands import expand_commands
from study.home.request import save_request
from study.tracking.connection import Outage
from study.tracking.leftovers import send_leftovers
from study.tracking.run_context import RunContext
from study.tracking.tracker import Tracker
from trainers.stage import MachineError, Stage


def compute_study(planned: PlannedStudy, target: ComputeTarget, *observers: Observer) -> dict[str, Failure]:
    """Prints the plan, computes what is missing, and returns the failures of stages by key."""
    console = new_console()
    console.print(plan_line(planned.plan, planned.machine), highlight=False)
    if len(planned.parts) > 1:
        console.print(parts_table(planned.plan, planned.parts), saving_line(planned.plan), highlight=False)
    for line in tape_lines(planned.plan):
        console.print(line, highlight=False)
    for warning in (*planned.notes(planned.parts), *planned.plan_notes()):
        console.print(f"[yellow]note[/] {escape(expand_commands(warning, planned.home))}", highlight=False)
    return compute(planned.plan, planned.store, target, *observers).failures


@contextmanager
def open_trackers(planned: PlannedStudy, *, mlflow: bool) -> Iterator[tuple[Tracker, ...]]:
    """Trackers that log the trials to MLflow while they are computed, one for each part; none without `mlflow`."""
    if not mlflow:
        yield ()
        return
    uri, outage = os.environ.get("MLFLOW_TRACKING_URI"), Outage()
    if len(planned.parts) > 1:
        try:  # before any tracker is open: one could hold a journal that another opens next
            send_leftovers(planned.home, uri)
        except MachineError as error:
            outage.error = error
    with ExitStack() as stack:
        yield tuple(stack.enter_context(_tracker(planned, part, uri, outage)) for part in planned.parts)


def record_run(planned: PlannedStudy, failures: Mapping[str, Failure], command: str) -> None:
    """Keeps the request in the home folder, for every part too, with the reasons of failed stages and the command."""
    problems = {stage_key: failure.sentence for stage_key, failure in failures.items()}
    for request in (*(part.request for part in planned.parts), *planned.request.each_dataset(), planned.request):
        save_request(request, planned.home, problems, command)


class FailureRecorder(Observer):
    """Records at once why a stage failed, so that `status` shows it while other stages are still computed.

    Args:
        planned: the study that is computed.
        command: the command that runs it.
    """

    def __init__(self, planned: PlannedStudy, command: str) -> None:
        self._planned = planned
        self._command = command
        self._failures: dict[str, Failure] = {}

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self._failures[key(stage)] = failure
        record_run(self._planned, self._failures, self._command)


def _tracker(planned: PlannedStudy, part: Part, uri: str | None, outage: Outage) -> Tracker:
    return Tracker(
        context=RunContext.of(part.study, part.request, planned.context(part)),
        trials=part.trials,
        plan=planned.plan,
        store=planned.store,
        uri=uri,
        is_alone=len(planned.parts) == 1,
        outage=outage,
    )
