"""The commands for studies: list, plan, run, stop, status, report, logs, ui.

Everything but click is imported inside the commands, so that `freelunch --help` answers at once.
"""

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from study.cli.group import main
from study.cli.options import (
    EXIT_ENVIRONMENT,
    EXIT_TRIAL_FAILED,
    EXIT_USAGE,
    Place,
    as_json,
    asks_for_a_study,
    existing_store,
    interruptible,
    request_of,
    say_next,
    says_where,
)
from trainers.stage import InputError, MachineError

if TYPE_CHECKING:
    from study.cli.machine import Machine
    from study.request import Request
    from study.spec import Study


@main.command("list")
@as_json
def list_studies(as_json: bool) -> None:
    """Every named study, its question and its rows.

    \b
    Example:
        freelunch list
    """
    from search_spaces.catalogue import COLLECTIONS, STUDIES
    from study.screens import collections_table, new_console, studies_table

    if as_json:
        click.echo(json.dumps([_study_record(study) for study in STUDIES.values()], indent=1))
    else:
        new_console().print(studies_table(STUDIES.values()))
        new_console().print(collections_table(COLLECTIONS.values()))


@main.command()
@asks_for_a_study
@as_json
@click.pass_obj
def plan(place: Place, /, as_json: bool, **asked: Any) -> None:
    """What a study would compute: stages, what is shared and cached, and the time it expects.

    \b
    Examples:
        freelunch plan table3 --scale demo
        freelunch plan table3 --dataset cholec80 --seeds 3 --set queue_size=4096
    """
    from study.cli.session import Session
    from study.screens import new_console, plan_record, plan_tables

    session = Session(place.home, request_of(**asked))
    if as_json:
        click.echo(json.dumps(plan_record(session.plan), indent=1))
        return
    console = new_console()
    notes = session.conditions.notes
    for table in plan_tables(session.study, session.plan, session.sides(), notes, session.parts):
        console.print(table, highlight=False)
    say_next(session.request.command("run", program=place.program))


@main.command()
@asks_for_a_study
@says_where
@click.option("--mlflow/--no-mlflow", default=True, envvar="FREELUNCH_MLFLOW", help="Keep the trials in MLflow.")
@click.option("--check", is_flag=True, help="Take every stage through one short pass first, and keep nothing.")
@click.pass_obj
def run(place: Place, /, machine: "Machine", mlflow: bool, check: bool, **asked: Any) -> None:
    """Run a study, or go on with it: what is finished is not computed again.

    \b
    Examples:
        freelunch run table3 --scale demo
        freelunch run table3 --dataset cholec80 --check
        freelunch run table3 --dataset cholec80 --seeds 3 --workers 2
        freelunch run table3 --scale demo --set distillation_weight=2 --row head
        freelunch run table3 --scale demo --local
    """
    from study import drivers
    from study.store import Store

    request = request_of(**asked)
    Store(place.home)  # one that cannot be used is refused before this run is made known in it
    options = [*machine.options(), *([] if mlflow else ["--no-mlflow"])]
    command = request.command("run", *options, program=place.program)
    with (
        interruptible(f"{command} --check" if check else command),
        drivers.registered(place.home, request.name, command),
    ):
        if check:
            _check(place, request, machine, command)
        else:
            _run(place, request, machine, mlflow, command)


@main.command()
@click.argument("study")
@click.option("--seconds", type=click.FloatRange(0), default=120, show_default=True, help="How long to wait for it.")
@click.pass_obj
def stop(place: Place, study: str, seconds: float) -> None:
    """Stop a running study as Ctrl-C does, from any terminal or node; `run` goes on with it later.

    \b
    Example:
        freelunch stop table3
    """
    from study import drivers
    from study.cli.named import name_in

    running = drivers.living(place.home, name_in(place.home, study))
    if not running:
        raise InputError(f"no run of {study} is going on in {place.home}: `freelunch status` shows what has been run.")
    for driver in running:
        if not drivers.stop(place.home, driver, seconds):
            raise MachineError(
                f"process {driver.pid} on {driver.host} did not end within {seconds:g} s: "
                "wait longer with --seconds, or kill it; nothing that is finished gets lost."
            )
        click.echo(f"stopped process {driver.pid} on {driver.host}")
    say_next(running[-1].command)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others can see it beyond.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen at.")
@click.pass_obj
def ui(place: Place, host: str, port: int) -> None:
    """Open the studies in MLflow's web interface.

    \b
    Example:
        freelunch ui
    """
    from study.mlflow_server import serve

    with interruptible(f"{place.program} ui --host {host} --port {port}"):
        serve(place.home, host=host, port=port)


@main.command()
@click.argument("study", required=False)
@as_json
@click.pass_obj
def status(place: Place, study: str | None, as_json: bool) -> None:
    """How far a study is, also while another process runs it.

    \b
    Examples:
        freelunch status
        freelunch status table3
    """
    from study import drivers
    from study.cli.named import name_in
    from study.cli.session import Session
    from study.request import latest, latest_command, remembered_problems, studies_run
    from study.screens import new_console, status_record, status_tables

    names = [name_in(place.home, study)] if study else studies_run(place.home)
    if not names:
        raise InputError(f"no study has been run in {place.home}: `freelunch run table3 --scale demo` runs one.")
    records, faults = {}, []
    for name in names:
        try:
            session = Session(place.home, latest(name, place.home))
        except InputError as error:
            if study:
                raise
            click.echo(f"error: {name}: {error}", err=True)
            faults.append(error)  # the others can be told of all the same
            continue
        problems = remembered_problems(session.request, place.home)
        running = drivers.living(place.home, name)
        records[name] = status_record(session.plan, session.store, problems, running)
        if not as_json:
            for table in status_tables(name, records[name]):
                new_console().print(table, highlight=False)
            if records[name]["resumable"]:
                say_next(latest_command(name, place.home))
    if as_json:
        click.echo(json.dumps(records, indent=1))
    if faults:
        sys.exit(EXIT_ENVIRONMENT if any(isinstance(fault, MachineError) for fault in faults) else EXIT_USAGE)


@main.command()
@click.argument("study")
@click.pass_obj
def report(place: Place, study: str) -> None:
    """Write the report of what the last run of a study has finished so far, and print its table.

    \b
    Example:
        freelunch report table3
    """
    from study.cli.named import name_in
    from study.cli.session import Session
    from study.request import latest

    Session(place.home, latest(name_in(place.home, study), place.home)).show_reports()


@main.command()
@click.argument("target")
@click.pass_obj
def logs(place: Place, target: str) -> None:
    """What a stage printed, and its traceback if it failed.

    TARGET is the beginning of a stage's key, or STUDY/ROW for the stages of a trial.

    \b
    Examples:
        freelunch logs 3f2a91bc
        freelunch logs table3/head
    """
    from study.cli.named import name_in
    from study.cli.session import Session
    from study.request import latest
    from study.screens import logs_table, new_console
    from study.spec import nearest

    if "/" not in target:
        store = existing_store(place)
        path = store.log(store.key_beginning(target))
        click.echo(path.read_text() if path else f"stage {target} has not written anything yet.")
        return
    study, _, row = target.partition("/")
    session = Session(place.home, latest(name_in(place.home, study), place.home))
    trials = [trial for trial in session.trials if row in (trial.row.name, trial.label)]
    if not trials:
        rows = dict.fromkeys(trial.row.name for trial in session.trials)
        raise InputError(f"the last run of {study} has no row {row!r}{nearest(row, rows)}")
    for trial in trials:
        new_console().print(f"[bold]{trial.label}[/]", logs_table(trial, session.store), highlight=False)


def _check(place: Place, request: "Request", machine: "Machine", command: str) -> None:
    """Takes every stage through one short pass."""
    from study.cli.session import Session

    session = Session(place.home, request, brief=True)
    if session.check(machine):
        say_next(f"mend what failed, then type again: {command} --check")
        sys.exit(EXIT_TRIAL_FAILED)
    click.echo(f"checked: {len(session.plan.stages)} stages, each in one short pass")
    say_next(command)


def _run(place: Place, request: "Request", machine: "Machine", mlflow: bool, command: str) -> None:
    """Computes what is missing, and reports."""
    from study.cli.session import ProblemKeeper, Session

    session = Session(place.home, request)
    session.remember({}, command)
    with session.tracked(mlflow) as trackers:
        problems = session.compute(machine, ProblemKeeper(session, command), *trackers)
        session.remember(problems, command)
        for tracker, report in zip(trackers, session.show_reports(), strict=False):  # none, or one for each
            tracker.conclude(*report)
    if mlflow:
        click.echo(f"in MLflow: {place.program} ui")
    if problems:
        say_next(f"mend what failed, then type again: {command}")
        sys.exit(EXIT_TRIAL_FAILED)
    if request.seeds == 1:
        options = [*machine.options(), *([] if mlflow else ["--no-mlflow"])]
        more = replace(request, seeds=3).command("run", *options, program=place.program)
        say_next(f"see how much the seed matters: {more}")


def _study_record(study: "Study") -> dict[str, Any]:
    rows = [{"name": row.name, "title": row.title, "baseline": row.baseline} for row in study.all_rows()]
    published = study.published.source if study.published else None
    told = {"name": study.name, "title": study.title, "question": study.question}
    return {**told, "rows": rows, "published": published, "cost": dict(study.cost)}
