"""Printed lines of a search: beginnings and ends of trials, and ends of longer stages."""

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from study.console.lines import SHORT_SECONDS
from study.core.graph import key
from study.core.plan import Plan
from study.core.study import Trial
from study.execution.events import Failure, Observer
from study.home.commands import expand_commands, with_home
from study.home.text import duration
from study.search.objective import Objective
from study.search.observer import SearchObserver
from study.search.space import Parameters
from trainers.stage import Stage


class SearchLinePrinter(SearchObserver, Observer):
    """Prints one line per event of a search.

    Args:
        objective: names the values.
        console: the output.
        best: the best value of earlier runs, if there is one.
        home: the home folder, for the commands that are printed.
    """

    def __init__(self, objective: Objective, console: Console, best: float | None, home: Path) -> None:
        self._objective, self._console, self._best, self._home = objective, console, best, home

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        verb = "goes on" if again else "begins"
        cost = f"{len(plan.missing)} of {len(plan.stages)} stages to compute, about {duration(plan.expected_seconds)}"
        self._say(f"[bold]{trial.row.name}[/] {verb}: {escape(trial.row.title)} ({cost})")

    def trial_completed(self, trial: Trial, value: float) -> None:
        sign = 1 if self._objective.maximised else -1
        is_best = self._best is None or sign * value > sign * self._best
        self._best = value if is_best else self._best
        best = "the best so far" if is_best else f"the best is {self._best:.2f}"
        self._say(f"[bold]{trial.row.name}[/] [green]{value:.2f}[/], {escape(self._objective.title)}; {best}")

    def trial_pruned(self, trial: Trial, epoch: int, value: float) -> None:
        watched = f"{self._objective.metric} {value:.2f}"
        self._say(f"[bold]{trial.row.name}[/] [yellow]stopped early[/] after epoch {epoch}: {escape(watched)}")

    def trial_failed(self, trial: Trial, problem: str) -> None:
        self._say(f"[bold]{trial.row.name}[/] [red]failed[/]: {escape(expand_commands(problem, self._home))}")

    def point_refused(self, number: int, parameters: Parameters, problem: str) -> None:
        point = ", ".join(f"{name} {value}" for name, value in parameters.items())
        self._say(
            f"[bold]trial {number}[/] [red]refused[/]: {escape(point)}: {escape(expand_commands(problem, self._home))}"
        )

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        if failure.fault == "program":
            command = with_home(f"freelunch logs {key(stage)[:12]}", self._home)
            tail = "".join(f"\n          [dim]{escape(line)}[/]" for line in failure.last_lines)
            self._say(f"{escape(stage.title)} failed; more: {escape(command)}{tail}")

    def on_finished(self, stage: Stage, seconds: float) -> None:
        if seconds >= SHORT_SECONDS:
            self._say(f"{escape(stage.title)} {key(stage)[:8]} done in {duration(seconds)}")

    def on_waiting(self, stage: Stage, reason: str) -> None:
        self._say(f"{escape(stage.title)} {key(stage)[:8]} waits: {escape(reason)}")

    def on_interrupted(self, stage: Stage, reason: str) -> None:
        self._say(f"{escape(stage.title)} {key(stage)[:8]} interrupted: {escape(reason)}")

    def _say(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')}  {text}", highlight=False, soft_wrap=True)
