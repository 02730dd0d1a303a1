"""Question before a run or a search starts that would take months: scale full without a GPU."""

import sys

import click

from search_spaces.protocol.scales import Scale
from study.cli.endings import EXIT_USAGE
from study.console.outlook_tables import wall_time
from study.core.outlook import PlannedMachine
from study.core.plan import Plan
from trainers.stage import InputError


def confirm_without_gpu(
    scale: Scale, plan: Plan, machine: PlannedMachine, *, yes: bool, is_search: bool = False
) -> None:
    """Asks whether to compute networks of published size on CPU cores.

    Args:
        scale: the sizes.
        plan: what is to be computed; of a search, its most expensive trials.
        machine: where.
        yes: the answer where it was given beforehand, by `--yes`.
        is_search: whether the plan is of single trials of a search.

    Raises:
        InputError: there is no terminal to ask at.
    """
    on_gpus = [plan.stages[stage_key] for stage_key in plan.missing if plan.stages[stage_key].uses_gpu]
    if yes or not scale.has_published_weights or not on_gpus or any(map(machine.gpus_of, on_gpus)):
        return
    time = f"about {wall_time(plan, machine)}{' for a single trial' if is_search else ''}"
    fact = f"scale {scale.name} would be computed without a GPU, which takes {time}"
    if not sys.stdin.isatty():
        raise InputError(f"{fact}: give --yes to start all the same, or take a machine with a GPU, or --scale demo.")
    if not click.confirm(f"{fact}. Start all the same?"):
        click.echo("nothing was started", err=True)
        sys.exit(EXIT_USAGE)
