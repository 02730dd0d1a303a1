"""Tables of the studies, suites and searches that exist."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from study.console.terminal import new_table
from study.core.study import Study
from study.core.suite import Suite


def studies_table(studies: Iterable[Study]) -> Table:
    """Every study with its question and rows."""
    table = new_table("study", "question", "rows", "held against", "takes")
    for study in studies:
        source = study.published.source.rpartition(", ")[2] if study.published else ""
        table.add_row(study.name, escape(study.introduction), _rows_line(study), escape(source), _cost_line(study.cost))
    return table


def searches_table(searches: Iterable[Mapping[str, Any]]) -> Table:
    """Every search with its hyperparameters and objective."""
    table = new_table("search", "question", "over", "objective", "evaluated in")
    for each in searches:
        over = "; ".join(f"[bold]{name}[/] {escape(words)}" for name, words in each["space"].items())
        table.add_row(each["name"], escape(each["question"]), over, escape(each["objective"]), each["evaluated_in"])
    return table


def suites_table(suites: Iterable[Suite]) -> Table:
    """Every suite of studies."""
    table = new_table("together", "question", "studies", "takes")
    for each in suites:
        names = ", ".join(study.name for study in each.studies)
        table.add_row(each.name, escape(each.question), names, _cost_line(each.cost))
    return table


def settings_line(studies: Iterable[Study]) -> str:
    """The hyperparameters that can be fixed, for lists."""
    names = sorted({name for study in studies for name in study.settable()})
    return f"--set NAME=VALUE fixes, where a study does not vary it: {', '.join(names)}"


def _cost_line(cost: Mapping[str, str]) -> str:
    return "; ".join(f"[bold]{scale}[/] {escape(text)}" for scale, text in cost.items())


def _rows_line(study: Study) -> str:
    """The names of a study's rows, baselines dimmed; of a curve with several lines, the lines and number of points."""
    rows = study.all_rows()
    series = dict.fromkeys(row.series for row in rows if row.series)
    if study.curve and series:
        points = len({row.parameters[study.curve.axis] for row in rows if row.series})
        return f"{', '.join(map(escape, series))}; each at {points} values of {study.curve.axis}"
    return ", ".join(f"[dim]{row.name}[/]" if row.baseline else row.name for row in rows)
