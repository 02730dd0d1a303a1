"""Question before a run or a search starts that would take months: scale full without a GPU."""

import sys
from collections.abc import Callable, Sequence

import click

from search_spaces.protocol.scales import Scale
from study.cli.endings import EXIT_USAGE
from study.cli.resources import ComputeTarget
from study.core.plan import Plan
from study.home.text import duration
from trainers.runtime.cpus import available_cpus
from trainers.runtime.machine import num_gpus
from trainers.stage import InputError, Stage


def confirm_without_gpu(scale: Scale, plan: Plan, target: ComputeTarget, *, is_search: bool = False) -> None:
    """Asks whether to compute networks of published size on CPU cores; `--yes` answers beforehand.

    On a cluster that is joined, nothing is asked: its GPUs are not known yet.

    Args:
        scale: the sizes.
        plan: what is to be computed; of a search, its most expensive trials.
        target: where.
        is_search: whether the plan is of single trials of a search.

    Raises:
        InputError: there is no terminal to ask at.
    """
    on_gpus = [plan.stages[stage_key] for stage_key in plan.missing if plan.stages[stage_key].uses_gpu]
    if target.yes or not scale.has_published_weights or not on_gpus or _grants_gpus(target, on_gpus):
        return
    time = f"about {duration(plan.expected_seconds)}{' for a single trial' if is_search else ''}"
    fact = f"scale {scale.name} would be computed without a GPU, which takes {time}"
    if not sys.stdin.isatty():
        raise InputError(f"{fact}: give --yes to start all the same, or take a machine with a GPU, or --scale demo.")
    if not click.confirm(f"{fact}. Start all the same?"):
        click.echo("nothing was started", err=True)
        sys.exit(EXIT_USAGE)


def _grants_gpus(target: ComputeTarget, stages: Sequence[Stage], count: Callable[[], int] = num_gpus) -> bool:
    """Whether any of the stages gets a GPU, or may get one on a cluster that is not joined yet."""
    if target.address:
        return target.gpus_per_worker != 0
    profile = target.profile_of(available_cpus(), count())
    return any(profile.grant(stage).gpus for stage in stages)
