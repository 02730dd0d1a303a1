"""Plan of a search: of as many trials as it will have, at points that are drawn at random."""

import json

import click

from study.cli.context import HomeContext
from study.cli.endings import print_next
from study.cli.search_planning import PlannedSearch
from study.cli.synthetic_datasets import asked_synthetic_datasets
from study.cli.tapes import search_choice
from study.console.outlook_tables import outlook_record, outlook_table
from study.console.plan_tables import plan_record, plan_tables
from study.console.terminal import new_console
from study.core.outlook import PlannedMachine
from study.core.tapes import TapeChoice
from study.home.request import Request
from study.search.request import SearchRequest
from study.search.tracker import as_study
from trainers.stage import InputError

NUM_TRIALS = 40
DRAWN = (
    "These are trials at points drawn at random, none of them stopped early: a search asks for better ones, and takes "
    "less time."
)


def plan_search(
    context: HomeContext,
    request: Request,
    num_trials: int | None,
    machine: PlannedMachine,
    tapes: TapeChoice,
    *,
    energy: bool,
    as_json: bool,
) -> None:
    """Prints the plan of a search.

    Raises:
        InputError: the request names rows or seeds, which a search has not, or what does not exist.
    """
    if request.rows or request.seeds != 1:
        raise InputError(f"{request.study} is a search: it has no --row and no --seeds; --trials says how many trials.")
    search_request = SearchRequest(request=request, num_trials=num_trials or NUM_TRIALS)
    planned = PlannedSearch(context.home, search_request, writing=False)
    plan = planned.expected_plan(machine, tapes=search_choice(tapes))
    if as_json:
        record = {**plan_record(plan), **outlook_record(plan, (), machine), "warnings": [*planned.trial_notes()]}
        click.echo(json.dumps(record, indent=1))
        return
    console = new_console()
    missing = [each for each in asked_synthetic_datasets(request) if not each.is_made(context.home)]
    unmade = [each.unmade_note for each in missing]
    notes = [DRAWN, *map(context.copyable, (*unmade, *planned.trial_notes()))]
    for table in plan_tables(as_study(planned.search), plan, {}, notes, (), machine):
        console.print(table, highlight=False)
    if plan.missing:
        console.print(outlook_table(plan, (), machine, energy=energy), highlight=False)
    print_next(search_request.command(context.program))
