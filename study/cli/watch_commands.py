"""Commands for runs: stop, status, report, logs.

Everything but click is imported inside the commands, so that `freelunch --help` answers at once.
"""

import json
import sys

import click

from study.cli.context import HomeContext, existing_store
from study.cli.endings import exit_code, print_next
from study.cli.group import main
from study.cli.options import json_option
from study.cli.values import Line, Number
from study.home.commands import with_home
from trainers.stage import FreelunchError, InputError, MachineError

MOST_SECONDS = 24 * 3600


@main.command()
@click.argument("study", type=Line())
@click.option(
    "--seconds", type=Number(0, MOST_SECONDS), default=120, show_default=True, help="How long to wait for it."
)
@click.pass_obj
def stop(context: HomeContext, study: str, seconds: float) -> None:
    """Stop a running study or search as Ctrl-C does, from any terminal or node; its command goes on with it later.

    \b
    Examples:
        freelunch stop table3
        freelunch stop distilled
    """
    from study.cli.recorded import run_name
    from study.home import runs

    running = runs.active_runs(context.home, run_name(context.home, study))
    if not running:
        raise InputError(
            f"no run of {study} is going on in {context.home}: `freelunch status` shows what has been run."
        )
    for driver in running:
        if not runs.stop(context.home, driver, seconds):
            raise MachineError(
                f"process {driver.pid} on {driver.host} did not end within {seconds:g} s: "
                "wait longer with --seconds, or kill it; nothing that is finished gets lost."
            )
        click.echo(f"stopped process {driver.pid} on {driver.host}")
    print_next(with_home(running[-1].command, context.home))


@main.command()
@click.argument("study", type=Line(), required=False)
@json_option
@click.pass_obj
def status(context: HomeContext, study: str | None, as_json: bool) -> None:
    """Show the progress of a study or a search, also while another process runs it.

    \b
    Examples:
        freelunch status
        freelunch status table3
        freelunch status distilled
    """
    from study.cli.history import known_runs, summarise
    from study.cli.recorded import recorded_name
    from study.console.terminal import new_console
    from study.home.sharing import check_shared

    check_shared(context.home, writing=False)
    names = [recorded_name(context.home, study)] if study else known_runs(context.home)
    if not names:
        raise InputError(f"no study has been run in {context.home}: `freelunch run table3 --scale demo` runs one.")
    records, faults = {}, []
    for name in names:
        try:
            found = summarise(name, context.home)
        except FreelunchError as error:
            if study:
                raise
            click.echo(f"error: {name}: {context.copyable(error)}", err=True)
            faults.append(error)  # the others are shown nevertheless
            continue
        records[name] = found.record
        if not as_json:
            for line in found.lines:
                new_console().print(line, highlight=False)
            if found.command:
                print_next(found.command)
    if as_json:
        click.echo(json.dumps(records, indent=1))
    if faults:
        sys.exit(max(map(exit_code, faults)))


@main.command()
@click.argument("study", type=Line())
@click.pass_obj
def report(context: HomeContext, study: str) -> None:
    """Write the report of the latest run of a study or a search so far, and print its results.

    \b
    Examples:
        freelunch report table3
        freelunch report distilled
    """
    from study.cli.history import show_report
    from study.cli.recorded import recorded_name
    from study.home.sharing import check_shared

    check_shared(context.home, writing=True)
    show_report(recorded_name(context.home, study), context.home)


@main.command()
@click.argument("target", type=Line())
@click.pass_obj
def logs(context: HomeContext, target: str) -> None:
    """Show the output of a stage, and its traceback if it failed.

    TARGET is the beginning of a stage's key, or STUDY/ROW for the stages of a trial.

    \b
    Examples:
        freelunch logs 3f2a91bc
        freelunch logs table3/head
        freelunch logs 'distilled/trial 3'
    """
    from study.cli.history import check_names_trial, trials_of
    from study.cli.recorded import recorded_name, split_trial
    from study.console.result_tables import logs_table
    from study.console.terminal import new_console

    name, row = split_trial(target)
    if row is None:
        store = existing_store(context)
        check_names_trial(target, context.home)
        path = store.log(store.key_beginning(target))
        click.echo(path.read_text(errors="replace") if path else f"stage {target} has not written anything yet.")
        return
    trials, store = trials_of(recorded_name(context.home, name), row, context.home)
    for trial in trials:
        new_console().print(f"[bold]{trial.label}[/]", logs_table(trial, store), highlight=False)
