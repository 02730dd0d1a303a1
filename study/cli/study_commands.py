"""Commands for studies: plan, run, ui.

Everything but click is imported inside the commands, so that `freelunch --help` answers at once.
"""

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from study.cli.context import HomeContext
from study.cli.endings import EXIT_TRIAL_FAILED, NOTHING_LOST, interruptible, print_next
from study.cli.group import main
from study.cli.machine_options import machine_options
from study.cli.options import (
    MOST_TRIALS,
    budget_option,
    drop_option,
    json_option,
    mlflow_option,
    resource_options,
    study_options,
)
from study.cli.values import Count, Line
from study.home.commands import with_home
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.cli.budget import Budget
    from study.cli.machine_options import AskedMachine
    from study.cli.planning import PlannedStudy
    from study.cli.resources import ComputeTarget
    from study.core.outlook import PlannedMachine
    from study.home.request import Request


@main.command()
@study_options
@machine_options
@click.option("--trials", type=Count(1, MOST_TRIALS), help="Of a search: trials in all; 40 where not given.")
@drop_option
@click.option("--energy", is_flag=True, help="Show the energy that the devices would take.")
@json_option
@click.pass_obj
def plan(
    context: HomeContext,
    request: "Request",
    machine: "AskedMachine",
    trials: int | None,
    drop_features: bool,
    energy: bool,
    as_json: bool,
) -> None:
    """Plan a study or a search: its stages, shared and cached ones, wall time and GPU-hours on this machine or another.

    \b
    Examples:
        freelunch plan table3 --scale demo
        freelunch plan table3 --dataset cholec80 --weights moco-v2 --seeds 3 --set queue_size=4096
        freelunch plan paper --dataset cholec80 --stand-in --device h100 --energy
        freelunch plan distilled --dataset cholec80 --weights moco-v2 --device h100 --trials 40
    """
    from study.cli.machine import planned_machine
    from study.cli.planning import PlannedStudy
    from study.cli.resolve import find_asked
    from study.console.outlook_tables import features_line, outlook_record, outlook_table
    from study.console.plan_tables import plan_record, plan_tables
    from study.console.terminal import new_console
    from study.search.space import Search

    here, tapes = planned_machine(machine.target, machine.device), machine.target.tapes(context.home)
    if isinstance(find_asked(request.study), Search):
        from study.cli.search_plan import plan_search  # Optuna takes a second to import

        if drop_features:
            raise InputError(f"--drop-features: {request.study} is a search, which keeps its features; leave it out.")
        plan_search(context, request, trials, here, tapes, energy=energy, as_json=as_json)
        return
    if trials is not None:
        raise InputError(
            f"--trials {trials}: {request.study} is a study; a search has trials, and --seeds repeats rows."
        )
    planned = PlannedStudy(context.home, request, machine=here, tapes=tapes, drops_features=drop_features)
    if as_json:
        record = {**plan_record(planned.plan), **outlook_record(planned.plan, planned.parts, here)}
        warnings = [*planned.data_notes(), *planned.plan_notes()]
        click.echo(json.dumps({**record, "warnings": warnings}, indent=1))
        return
    console = new_console()
    notes = [context.copyable(note) for note in (*planned.notes(planned.parts), *planned.plan_notes())]
    for table in plan_tables(planned.study, planned.plan, planned.num_videos(), notes, planned.parts, here):
        console.print(table, highlight=False)
    if planned.plan.missing:
        console.print(outlook_table(planned.plan, planned.parts, here, energy=energy), highlight=False)
        if line := features_line(planned.plan):
            console.print(line, highlight=False)
    dropping = ("--drop-features",) if drop_features else ()
    print_next(planned.request.command("run", *dropping, program=context.program))


@main.command()
@study_options
@resource_options
@mlflow_option
@click.option(
    "--check",
    is_flag=True,
    help="Take every stage through one short pass first; stages of this pass alone are removed when it has ended.",
)
@budget_option
@drop_option
@click.pass_obj
def run(
    context: HomeContext,
    request: "Request",
    target: "ComputeTarget",
    mlflow: bool,
    check: bool,
    budget: str | None,
    drop_features: bool,
) -> None:
    """Run a study, or continue it: finished stages are not computed again.

    \b
    Examples:
        freelunch run table3 --scale demo
        freelunch run table3 --dataset cholec80 --weights moco-v2 --check
        freelunch run table3 --dataset cholec80 --weights moco-v2 --seeds 3 --workers 2
        freelunch run table3 --dataset cholec80 --weights moco-v2 --budget 40gpuh --drop-features
        freelunch run table3 --scale demo --set distillation_weight=2 --row head
        freelunch run table3 --scale demo --local
    """
    from study.cli.budget import options_of, parse_budget
    from study.cli.machine import planned_machine
    from study.cli.requested_conditions import check_named
    from study.cli.synthetic_datasets import make_synthetic_where_asked
    from study.core.store import Store
    from study.core.tape_marks import TapeMarks
    from study.home import runs
    from study.home.sharing import check_shared

    limit = parse_budget(budget) if budget else None
    target = replace(target, drop_features=drop_features)
    target.check_callbacks()
    check_shared(context.home, writing=True)
    store = Store(context.home)
    store.clean()  # one that cannot be used is refused before this run is made known in it
    TapeMarks(store).remove_used()
    options = (*target.options_of_run(mlflow=mlflow), *options_of(limit))
    kept = request.command("run", *options)
    command = with_home(kept, context.home)
    check_option = " --check" if check else ""
    kept_of_check = "what is finished is kept, what the check alone needs until it has ended"
    with (
        interruptible(command + check_option, kept_of_check if check else NOTHING_LOST),
        runs.register_run(context.home, request.name, kept + check_option),
    ):
        if target.address:
            check_named(store, request)
        machine = planned_machine(target)
        make_synthetic_where_asked(
            context.home, request, lambda: _plan_of_run(context, request, target, machine, check=check)
        )
        if check:
            _check(context, request, target, machine, command)
        else:
            _run(context, request, target, machine, mlflow, kept, limit)


@main.command()
@click.option(
    "--host",
    type=Line(),
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; others can see it beyond.",
)
@click.option("--port", type=Count(1, 65535), default=5000, show_default=True, help="Port to listen at.")
@click.pass_obj
def ui(context: HomeContext, host: str, port: int) -> None:
    """Open the studies in MLflow's web interface.

    \b
    Example:
        freelunch ui
    """
    from study.home.sharing import check_shared
    from study.tracking.server import serve

    check_shared(context.home, writing=True)
    with interruptible(f"{context.program} ui --host {host} --port {port}"):
        serve(context.home, show=click.echo, host=host, port=port)


def _check(
    context: HomeContext, request: "Request", target: "ComputeTarget", machine: "PlannedMachine", command: str
) -> None:
    """Takes every stage through one short pass."""
    from study.cli.check import check_study
    from study.cli.planning import PlannedStudy

    tapes = target.tapes(context.home)
    planned = PlannedStudy(context.home, request, brief=True, machine=machine, tapes=tapes)
    if check_study(planned, target):
        print_next(f"fix what failed, then run again: {command} --check")
        sys.exit(EXIT_TRIAL_FAILED)
    click.echo(f"checked: {len(planned.plan.stages)} stages, each in one short pass")
    print_next(command)


def _plan_of_run(
    context: HomeContext,
    request: "Request",
    target: "ComputeTarget",
    machine: "PlannedMachine",
    limit: "Budget | None" = None,
    *,
    check: bool = False,
) -> "PlannedStudy":
    """The plan of a run, which is refused where weights were forgotten, or of a check, which goes on without them."""
    from study.cli.planning import PlannedStudy

    tapes = target.tapes(context.home, limit.num_bytes if limit else None)
    planned = PlannedStudy(context.home, request, machine=machine, tapes=tapes, drops_features=target.drop_features)
    if not check:
        planned.check_weights()
    return planned


def _run(
    context: HomeContext,
    request: "Request",
    target: "ComputeTarget",
    machine: "PlannedMachine",
    mlflow: bool,
    kept: str,
    limit: "Budget | None",
) -> None:
    """Computes the missing stages, and reports."""
    from study.cli.budget import watches_of
    from study.cli.dropping import droppers_of
    from study.cli.reporting import StudyReporter
    from study.cli.starting import confirm_without_gpu
    from study.cli.study_run import FailureRecorder, compute_study, open_trackers, record_run
    from study.core.tape_marks import TapeMarks

    planned = _plan_of_run(context, request, target, machine, limit)
    confirm_without_gpu(planned.scale, planned.plan, machine, yes=target.yes)
    watches = watches_of(limit, planned.plan, planned.store, machine)
    record_run(planned, {}, kept)
    marks = TapeMarks(planned.store)
    marks.mark(planned.plan)
    with open_trackers(planned, mlflow=mlflow) as trackers:
        failures = compute_study(
            planned,
            target,
            FailureRecorder(planned, kept),
            *trackers,
            *watches,
            *droppers_of(target, planned.plan, planned.store),
        )
        record_run(planned, failures, kept)
        marks.remove_used()
        reports = StudyReporter(planned, failures).show_reports()
        for tracker, report in zip(trackers, reports, strict=False):  # no tracker, or one for each report
            tracker.conclude(*report)
    if mlflow:
        click.echo(f"in MLflow: {context.program} ui")
    if failures:
        print_next(f"fix what failed, then run again: {with_home(kept, context.home)}")
        sys.exit(EXIT_TRIAL_FAILED)
    if request.seeds == 1:
        options = target.options_of_run(mlflow=mlflow)
        more = replace(request, seeds=3).command("run", *options, program=context.program)
        print_next(f"see how much the seed matters: {more}")
