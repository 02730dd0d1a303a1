"""What a user sees while a plan runs: a live display on a terminal, one line per event elsewhere."""

import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from study.graph import key
from study.local import Failure, Observer
from study.plan import Plan
from trainers.stage import Stage


class Narrator(Observer):
    """Prints one line per event.

    Args:
        plan: what runs.
        console: where to print.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._remaining = {stage_key: plan.seconds[stage_key] for stage_key in plan.missing}
        self._spent = self._expected_of_spent = 0.0
        self.num_done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def started(self, stage: Stage, resumed: bool) -> None:
        self._say(stage, "goes on from its checkpoint" if resumed else "starts")

    def finished(self, stage: Stage, seconds: float) -> None:
        self._settle(stage)
        self._spent += seconds
        self._expected_of_spent += self._plan.seconds[key(stage)]
        self._say(stage, f"[green]done[/] in {duration(seconds)}; {self.outlook()}")

    def waiting(self, stage: Stage) -> None:
        self._say(stage, "waiting for another process that is computing it")

    def failed(self, stage: Stage, failure: Failure) -> None:
        self._settle(stage)
        self._say(stage, f"[red]failed[/]: {escape(failure.sentence)}")
        if not failure.expected:
            self._console.print(f"          more: freelunch logs {key(stage)[:12]}", highlight=False)

    def blocked(self, stage: Stage, by: Stage) -> None:
        self._settle(stage)
        self._say(stage, f"[yellow]blocked[/] by {escape(by.title)} {key(by)[:8]}")

    def outlook(self) -> str:
        """How many stages are done, and how long the rest should take."""
        total = len(self._plan.missing)
        left = sum(self._remaining.values()) * self._pace()
        return (
            f"{self.num_done}/{total} stages, about {duration(left)} left"
            if left
            else f"{self.num_done}/{total} stages"
        )

    def _pace(self) -> float:
        """Measured over expected seconds so far."""
        return self._spent / self._expected_of_spent if self._expected_of_spent else 1.0

    def _settle(self, stage: Stage) -> None:
        self._remaining.pop(key(stage), None)
        self.num_done += 1

    def _say(self, stage: Stage, event: str) -> None:
        name = escape(f"{stage.title} {key(stage)[:8]}")
        self._console.print(
            f"{time.strftime('%H:%M:%S')}  {name} [dim]({escape(self._rows(stage))})[/] {event}",
            highlight=False,
            soft_wrap=True,
        )

    def _rows(self, stage: Stage) -> str:
        users = self._plan.users[key(stage)]
        if len(users) == len(self._plan.trials) > 1:
            return "all rows"
        by_number = {trial.number: trial for trial in self._plan.trials}
        several_seeds = len({trial.seed for trial in self._plan.trials}) > 1
        names = [by_number[n].label if several_seeds else by_number[n].row.name for n in users]
        return "; ".join(names) if len(names) <= 4 else f"{len(names)} rows"


class LiveDisplay(Narrator):
    """The narrator's lines, and below them a bar for the plan and one for the stage at work."""

    def __init__(self, plan: Plan, console: Console) -> None:
        super().__init__(plan, console)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._overall = self._progress.add_task("all stages", total=len(plan.missing), note="")
        self._current: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, stage: Stage, resumed: bool) -> None:
        if resumed:
            super().started(stage, resumed)
        self._current = self._progress.add_task(escape(stage.title), total=100, note=self._rows(stage))

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        if self._current is None:
            return
        completed = 100 * metrics["fraction"] if "fraction" in metrics else None
        self._progress.update(self._current, completed=completed, note=_note(metrics, epoch))
        self._progress.update(self._overall, note=self.outlook())

    def _settle(self, stage: Stage) -> None:
        super()._settle(stage)
        if self._current is not None:
            self._progress.remove_task(self._current)
            self._current = None
        self._progress.update(self._overall, completed=self.num_done, note=self.outlook())


def observer_for(plan: Plan, console: Console) -> Narrator:
    """The display that suits where output goes."""
    return LiveDisplay(plan, console) if console.is_terminal else Narrator(plan, console)


def duration(seconds: float) -> str:
    """Seconds as people say them: 4 s, 3 min, 2.5 h, 6 days."""
    for limit, divisor, unit, digits in ((90, 1, "s", 0), (5400, 60, "min", 0), (2 * 86400, 3600, "h", 1)):
        if seconds < limit:
            return f"{seconds / divisor:.{digits}f} {unit}"
    return f"{seconds / 86400:.0f} days"


def _note(metrics: Mapping[str, float], epoch: int) -> str:
    parts = [f"epoch {epoch + 1}"] if "loss_contrastive" in metrics else []
    parts += [f"{name.removeprefix('loss_')} {metrics[name]:.3f}" for name in metrics if name.startswith("loss_")]
    if "frames_per_second" in metrics:
        parts.append(f"{metrics['frames_per_second']:.0f} frames/s")
    if "knn_accuracy" in metrics:
        parts.append(f"kNN {metrics['knn_accuracy']:.1f} %")
    return ", ".join(parts)
