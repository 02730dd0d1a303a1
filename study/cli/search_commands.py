"""Command for searches: search.

Everything but click is imported inside the command, so that `freelunch --help` answers at once.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from study.cli.context import HomeContext
from study.cli.endings import EXIT_TRIAL_FAILED, interruptible, print_next
from study.cli.group import main
from study.cli.options import budget_option, mlflow_option, resource_options, search_options

if TYPE_CHECKING:
    from study.cli.resources import ComputeTarget
    from study.cli.search_planning import PlannedSearch
    from study.search.request import SearchRequest


@main.command()
@search_options
@resource_options
@mlflow_option
@budget_option
@click.pass_obj
def search(
    context: HomeContext, search_request: "SearchRequest", target: "ComputeTarget", mlflow: bool, budget: str | None
) -> None:
    """Search for the best settings without test videos, or continue a search.

    Optuna suggests every trial from the earlier ones, and stops trials early whose probe falls behind. Hyperparameters
    that --set fixes are not searched. After an interruption the same command continues; more --trials extend it.

    \b
    Examples:
        freelunch search distilled --weights moco-v2 --trials 40 --hours 8
        freelunch search distilled --scale demo --trials 10 --local
        freelunch search distilled --weights moco-v2 --trials 40 --budget 200gpuh
        freelunch search distilled --weights moco-v2 --set teacher_trains=head --trials 60
        optuna-dashboard sqlite:///.freelunch/optuna.db
    """
    from study.cli.budget import options_of, parse_budget, watches_of
    from study.cli.machine import planned_machine
    from study.cli.search_reporting import SearchReporter
    from study.cli.search_run import SearchRun, exclusive
    from study.cli.starting import confirm_without_gpu
    from study.core.plan import make_plan
    from study.home import runs

    limit = parse_budget(budget) if budget else None
    search_request = replace(search_request, options=(*target.options_of_run(mlflow=mlflow), *options_of(limit)))
    command = search_request.command(context.program)
    target.check_callbacks()
    with interruptible(command):
        planned = _planned(context.home, search_request)
        machine = planned_machine(target)
        costs = make_plan(planned.space.extreme_trials()[:1], planned.store, machine)
        watches = watches_of(limit, costs, planned.store, machine)
        confirm_without_gpu(planned.conditions.scale, costs, machine, yes=target.yes, is_search=True)
        with (
            planned.open_study() as optuna_study,
            exclusive(planned),
            runs.register_run(context.home, search_request.request.name, search_request.command()),
        ):
            reporter = SearchReporter(planned, optuna_study)
            run = SearchRun(planned, optuna_study, reporter)
            run.compute(target, machine, *watches, mlflow=mlflow)
            reporter.show()
            for sentence in () if run.stop_reason else reporter.next_steps():
                print_next(sentence)
        if run.stop_reason:
            click.echo(f"stopped: {context.copyable(run.stop_reason)}", err=True)
            print_next(f"fix what failed, then run again: {command}")
        if run.stop_reason or run.num_failed:
            sys.exit(EXIT_TRIAL_FAILED)


def _planned(home: Path, search_request: "SearchRequest") -> "PlannedSearch":
    """A search in a home that is cleared of what killed processes have left, with the synthetic videos that it needs.

    Raises:
        InputError: weights are missing.
        MachineError: the home cannot be used.
    """
    from study.cli.search_planning import PlannedSearch
    from study.cli.synthetic_datasets import make_synthetic_where_asked
    from study.core.store import Store
    from study.core.tape_marks import TapeMarks
    from study.home.sharing import check_shared

    check_shared(home, writing=True)
    store = Store(home)
    store.clean()
    TapeMarks(store).remove_used()
    make_synthetic_where_asked(
        home, search_request.request, lambda: PlannedSearch(home, search_request).check_weights()
    )
    planned = PlannedSearch(home, search_request)
    planned.check_weights()
    return planned
