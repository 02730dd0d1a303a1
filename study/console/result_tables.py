"""Tables of results: the report of a study, the logs of a trial, the reasons of missing results."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from study.console.terminal import new_table
from study.core.graph import key, walk
from study.core.plan import Plan
from study.core.store import Store
from study.core.study import Trial

if TYPE_CHECKING:
    from study.report.study_report import Report


def report_table(report: "Report") -> Table:
    """The report's table for the terminal."""
    table = new_table(*map(str, report.table.headers))
    for row in report.table.rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def logs_table(trial: Trial, store: Store) -> Table:
    """The stages of a trial, with the paths of their logs."""
    table = new_table("stage", "key", "state", "log")
    for stage_key, stage in walk(trial.stage).items():
        state = "done" if store.find(stage_key) else "unfinished" if store.unfinished(stage_key) else "waiting"
        table.add_row(escape(stage.title), stage_key[:12], state, str(store.log(stage_key) or ""))
    return table


def problems_of(plan: Plan, store: Store, failures: Mapping[str, str]) -> dict[int, str]:
    """Reasons why trials have no result, a sentence by trial number."""
    problems = {}
    for trial in plan.trials:
        if store.find(key(trial.stage)):
            continue
        stages = walk(trial.stage)
        culprit = next((k for k in stages if k in failures and not store.find(k)), None)
        if culprit is None:
            problems[trial.number] = "not computed yet."
            continue
        blamed = f"blocked by {stages[culprit].title} {culprit[:8]}" if culprit != key(trial.stage) else "failed"
        problems[trial.number] = f"{blamed}: {failures[culprit]} (freelunch logs {culprit[:12]})"
    return problems
