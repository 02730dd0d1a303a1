"""One line per event of a running plan, for output into files, pipes and batch jobs."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape

from study.core.eta import Forecast
from study.core.graph import key, walk
from study.core.plan import Plan
from study.execution.events import Failure, Observer, Started
from study.home.commands import expand_commands, with_home
from study.home.text import duration
from trainers.stage import Progress, Stage

SHORT_SECONDS = 1.0
"""A stage that takes less time is printed once, when it is done."""


class LinePrinter(Observer):
    """Prints one line per event.

    Args:
        plan: the plan that runs.
        console: the console to print on.
        home: the home folder, for the commands that are printed.
    """

    def __init__(self, plan: Plan, console: Console, home: Path) -> None:
        self._plan = plan
        self._home = home
        self._console = console
        self._forecast = Forecast(plan)
        self._starting: dict[str, threading.Timer] = {}
        self._remarked: set[str] = set()
        self._row_names = _row_names(plan)
        self.num_done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._starting.values():
            timer.cancel()

    def on_connected(self, description: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')}  {escape(description)}", highlight=False, soft_wrap=True)

    def on_started(self, stage: Stage, event: Started) -> None:
        self._forecast.start(stage)
        place = f" on {escape(event.where)}" if event.where else ""
        if event.resumed:
            self._print_event(stage, f"goes on where it was interrupted{',' + place if place else ''}")
        else:
            self._announce_later(stage, f"starts{place}")

    def on_progress(self, stage: Stage, progress: Progress) -> None:
        self._forecast.advance(stage, progress.fraction)

    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None:
        """Prints what a stage says of its metrics, once, and not before its second epoch: the first is the start's."""
        remarks = stage.remarks(metrics) if number > 1 else ()
        if remarks and key(stage) not in self._remarked:
            self._remarked.add(key(stage))
            self._print_event(stage, f"[yellow]epoch {number}[/]: {escape(' '.join(remarks))}")

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self._forecast.measure(stage, seconds)
        self._settle(stage)
        self._print_event(stage, f"[green]done[/] in {duration(seconds)}; {self.outlook()}")

    def on_found(self, stage: Stage) -> None:
        self._settle(stage)
        self._print_event(stage, f"[green]done[/] by another process; {self.outlook()}")

    def on_waiting(self, stage: Stage, reason: str) -> None:
        self._pause(stage)
        self._print_event(stage, f"waits: {escape(reason)}")

    def on_interrupted(self, stage: Stage, reason: str) -> None:
        self._pause(stage)
        self._print_event(stage, f"[yellow]interrupted[/], will go on: {escape(reason)}")

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self._settle(stage)
        self._print_event(stage, f"[red]failed[/]: {escape(expand_commands(failure.sentence, self._home))}")
        waiting = [k for k in self._plan.missing if k != key(stage) and key(stage) in walk(self._plan.stages[k])]
        if waiting:
            self._console.print(f"          {len(waiting)} stages that need it are left out", highlight=False)
        if failure.fault == "program":
            for line in failure.last_lines:
                self._console.print(f"          [dim]{escape(line)}[/]", highlight=False, soft_wrap=True)
            command = with_home(f"freelunch logs {key(stage)[:12]}", self._home)
            self._console.print(f"          more: {escape(command)}", highlight=False, soft_wrap=True)

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        self._settle(stage)

    def outlook(self) -> str:
        """Number of finished stages, and the expected time of the others."""
        total, left = len(self._plan.missing), self._forecast.seconds()
        outlook = f", about {duration(left)} left" if self.num_done < total else ""
        return f"{self.num_done}/{total} stages{outlook}"

    def _settle(self, stage: Stage) -> None:
        self._forget_start(stage)
        self._forecast.settle(stage)
        self.num_done += 1

    def _pause(self, stage: Stage) -> None:
        self._forget_start(stage)
        self._forecast.pause(stage)

    def _announce_later(self, stage: Stage, event: str) -> None:
        timer = threading.Timer(SHORT_SECONDS, self._print_event, (stage, event, time.localtime()))
        timer.daemon = True
        self._starting[key(stage)] = timer
        timer.start()

    def _forget_start(self, stage: Stage) -> None:
        timer = self._starting.pop(key(stage), None)
        if timer is not None:
            timer.cancel()

    def _print_event(self, stage: Stage, event: str, when: time.struct_time | None = None) -> None:
        rows = self._rows(stage)
        users = f" [dim]({escape(rows)})[/]" if rows else ""
        clock = time.strftime("%H:%M:%S", when or time.localtime())
        self._console.print(
            f"{clock}  {escape(stage.title)} {key(stage)[:8]}{users} {event}", highlight=False, soft_wrap=True
        )

    def _rows(self, stage: Stage) -> str:
        """The rows that need a stage; empty where the stage is a row itself, as each video of an ingest is."""
        users = self._plan.users[key(stage)]
        if len(users) == len(self._plan.trials) > 1:
            return "all rows"
        names = [self._row_names[number] for number in users]
        if names == [stage.title]:
            return ""
        return "; ".join(names) if len(names) <= 4 else f"{len(names)} rows"


def progress_note(metrics: Mapping[str, float], epoch: int) -> str:
    """The last report of a stage in a few words."""
    parts = [f"epoch {epoch}"] if any(name.startswith("loss_") for name in metrics) else []
    parts += [f"{name.removeprefix('loss_')} {metrics[name]:.3f}" for name in metrics if name.startswith("loss_")]
    if "frames_per_second" in metrics:
        parts.append(f"{metrics['frames_per_second']:.0f} frames/s")
    for name, title in (("knn_accuracy", "kNN"), ("validation_accuracy", "validation")):
        if name in metrics:
            parts.append(f"{title} {metrics[name]:.1f} %")
    return ", ".join(parts)


def _row_names(plan: Plan) -> dict[int, str]:
    """Name of every trial: its row, with its seed where there are several."""
    several_seeds = len({trial.seed for trial in plan.trials}) > 1
    return {trial.number: trial.label if several_seeds else trial.row.name for trial in plan.trials}
