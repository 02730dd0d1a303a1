"""The command for searches.

Everything but click is imported inside the command, so that `freelunch --help` answers at once.
"""

import sys
from typing import TYPE_CHECKING

import click

from study.cli.group import main
from study.cli.options import EXIT_TRIAL_FAILED, HomeContext, interruptible, print_next, request_of, resource_options

if TYPE_CHECKING:
    from study.cli.resources import ComputeTarget


@main.command()
@click.argument("search")
@click.option("--trials", type=click.IntRange(1), default=40, show_default=True, help="Trials in all; more extend it.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="Begin no trial after so many hours.")
@click.option("--at-once", type=click.IntRange(1), help="Trials at a time; as many as there is room for.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of points.")
@click.option("--storage", metavar="URL", help="Optuna's database; optuna.db in the home folder where not given.")
@click.option("--preset", default="corrected", show_default=True, help="The protocol.")
@click.option("--scale", default="full", show_default=True, help="The sizes: full, or demo.")
@click.option("--dataset", help="A registered dataset; where not given, cholec80, or the demo's own.")
@click.option("--weights", multiple=True, metavar="NAME", help="Public weights to start from; one of each kind.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Fix a hyperparameter, any number.")
@resource_options
@click.option("--mlflow/--no-mlflow", default=True, envvar="FREELUNCH_MLFLOW", help="Keep the trials in MLflow.")
@click.pass_obj
def search(
    context: HomeContext,
    /,
    target: "ComputeTarget",
    search: str,
    trials: int,
    hours: float | None,
    at_once: int | None,
    seed: int,
    storage: str | None,
    preset: str,
    scale: str,
    dataset: str | None,
    weights: tuple[str, ...],
    settings: tuple[str, ...],
    mlflow: bool,
) -> None:
    """Search for the best settings on validation videos, or go on with a search.

    Optuna suggests every trial from those before it, and stops early what its probe finds hopeless. What --set fixes is
    not searched. Typed again after an interruption, the command goes on; with more --trials it extends the search.

    \b
    Examples:
        freelunch search distilled --trials 40 --hours 8
        freelunch search distilled --scale demo --trials 10 --local
        freelunch search distilled --set teacher_trains=head --trials 60
        optuna-dashboard sqlite:///.freelunch/optuna.db
    """
    from study.cli.search_planning import PlannedSearch
    from study.cli.search_reporting import SearchReporter
    from study.cli.search_run import SearchRun, exclusive
    from study.home import runs
    from study.search.request import SearchRequest

    request = request_of(search, preset, scale, dataset, seeds=1, settings=settings, rows=(), weights=weights)
    options = (*target.options(), *(() if mlflow else ("--no-mlflow",)))
    search_request = SearchRequest(
        request=request, num_trials=trials, hours=hours, at_once=at_once, seed=seed, storage=storage, options=options
    )
    command = search_request.command(context.program)
    with interruptible(command):
        planned = PlannedSearch(context.home, search_request)
        with (
            planned.open_study() as optuna_study,
            exclusive(planned),
            runs.register_run(context.home, request.study, search_request.command()),
        ):
            reporter = SearchReporter(planned, optuna_study)
            run = SearchRun(planned, optuna_study, reporter)
            run.compute(target, mlflow=mlflow)
            reporter.show()
            if run.stop_reason:
                click.echo(f"stopped: {context.copyable(run.stop_reason)}", err=True)
                print_next(f"mend what failed, then type again: {command}")
                sys.exit(EXIT_TRIAL_FAILED)
            for sentence in reporter.next_steps():
                print_next(sentence)
            if run.num_failed:
                sys.exit(EXIT_TRIAL_FAILED)
