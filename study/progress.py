"""What a user sees while a plan runs: a live display on a terminal, one line per event elsewhere."""

import threading
import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from study.events import Failure, Observer
from study.graph import key, walk
from study.plan import Plan
from trainers.stage import Stage

SHORT_SECONDS = 1.0
"""A stage that takes less gets one line: that it is done."""


class Narrator(Observer):
    """Prints one line per event.

    Args:
        plan: what runs.
        console: where to print.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._forecast = Forecast(plan)
        self._starting: threading.Timer | None = None
        self.num_done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget_start()

    def started(self, stage: Stage, resumed: bool, where: str = "") -> None:
        if resumed:
            self._say(stage, "goes on where it was interrupted")
            return
        self._starting = threading.Timer(SHORT_SECONDS, self._say, (stage, "starts", time.localtime()))
        self._starting.daemon = True
        self._starting.start()

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        if "fraction" in metrics:
            self._forecast.advance(stage, metrics["fraction"])

    def finished(self, stage: Stage, seconds: float) -> None:
        self._forecast.measure(stage, seconds)
        self._settle(stage)
        self._say(stage, f"[green]done[/] in {duration(seconds)}; {self.outlook()}")

    def found(self, stage: Stage) -> None:
        self._settle(stage)
        self._say(stage, f"[green]done[/] by another process; {self.outlook()}")

    def waiting(self, stage: Stage, reason: str) -> None:
        self._say(stage, f"waits: {escape(reason)}")

    def interrupted(self, stage: Stage, reason: str) -> None:
        self._forget_start()
        self._say(stage, f"[yellow]interrupted[/], will go on: {escape(reason)}")

    def failed(self, stage: Stage, failure: Failure) -> None:
        self._settle(stage)
        self._say(stage, f"[red]failed[/]: {escape(failure.sentence)}")
        waiting = [k for k in self._plan.missing if k != key(stage) and key(stage) in walk(self._plan.stages[k])]
        if waiting:
            self._console.print(f"          {len(waiting)} stages that need it are left out", highlight=False)
        if not failure.expected:
            self._console.print(f"          more: freelunch logs {key(stage)[:12]}", highlight=False)

    def blocked(self, stage: Stage, by: Stage) -> None:
        self._settle(stage)

    def outlook(self) -> str:
        """How many stages are done, and how long the rest should take."""
        total, left = len(self._plan.missing), self._forecast.seconds()
        outlook = f", about {duration(left)} left" if self.num_done < total else ""
        return f"{self.num_done}/{total} stages{outlook}"

    def _settle(self, stage: Stage) -> None:
        self._forget_start()
        self._forecast.settle(stage)
        self.num_done += 1

    def _forget_start(self) -> None:
        if self._starting is not None:
            self._starting.cancel()

    def _say(self, stage: Stage, event: str, when: time.struct_time | None = None) -> None:
        rows = self._rows(stage)
        users = f" [dim]({escape(rows)})[/]" if rows else ""
        clock = time.strftime("%H:%M:%S", when or time.localtime())
        self._console.print(
            f"{clock}  {escape(stage.title)} {key(stage)[:8]}{users} {event}", highlight=False, soft_wrap=True
        )

    def _rows(self, stage: Stage) -> str:
        """The rows that need a stage; nothing where it is a row of its own, as each video of an ingest is."""
        users = self._plan.users[key(stage)]
        if len(users) == len(self._plan.trials) > 1:
            return "all rows"
        by_number = {trial.number: trial for trial in self._plan.trials}
        several_seeds = len({trial.seed for trial in self._plan.trials}) > 1
        names = [by_number[n].label if several_seeds else by_number[n].row.name for n in users]
        if names == [stage.title]:
            return ""
        return "; ".join(names) if len(names) <= 4 else f"{len(names)} rows"


class LiveDisplay(Narrator):
    """The narrator's lines, and below them a bar for the plan and one for the stage at work."""

    def __init__(self, plan: Plan, console: Console) -> None:
        super().__init__(plan, console)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._overall = self._bars.add_task("all stages", total=len(plan.missing), note=self.outlook())
        self._current: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._bars.stop()

    def started(self, stage: Stage, resumed: bool, where: str = "") -> None:
        if resumed:
            super().started(stage, resumed, where)
        self._current = self._bars.add_task(escape(stage.title), total=1.0, note=escape(self._rows(stage)))

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        super().progress(stage, metrics, epoch)
        if self._current is not None:
            self._bars.update(self._current, completed=metrics.get("fraction"), note=progress_note(metrics, epoch))
            self._bars.update(self._overall, note=self.outlook())

    def _settle(self, stage: Stage) -> None:
        super()._settle(stage)
        if self._current is not None:
            self._bars.remove_task(self._current)
            self._current = None
        self._bars.update(self._overall, completed=self.num_done, note=self.outlook())


class Forecast:
    """How long the rest of a plan takes, by what the finished stages of each kind took."""

    def __init__(self, plan: Plan) -> None:
        self._expected = {stage_key: plan.seconds[stage_key] for stage_key in plan.missing}
        self._kinds = {stage_key: plan.stages[stage_key].kind for stage_key in plan.missing}
        self._left = dict.fromkeys(plan.missing, 1.0)
        self._measured: dict[str, list[float]] = {}

    def advance(self, stage: Stage, fraction: float) -> None:
        """A stage is so far."""
        self._left[key(stage)] = 1 - fraction

    def measure(self, stage: Stage, seconds: float) -> None:
        """A stage took so long."""
        sums = self._measured.setdefault(stage.kind, [0.0, 0.0])
        sums[0] += seconds
        sums[1] += self._expected[key(stage)]

    def settle(self, stage: Stage) -> None:
        """Nothing is left to do for a stage."""
        self._left[key(stage)] = 0.0

    def seconds(self) -> float:
        """Expected seconds of all that is left."""
        return sum(left * self._expected[k] * self._pace(self._kinds[k]) for k, left in self._left.items())

    def _pace(self, kind: str) -> float:
        """Measured over expected seconds."""
        measured, expected = self._measured.get(kind, (1.0, 1.0))
        return measured / expected if expected else 1.0


def observer_for(plan: Plan, console: Console) -> Narrator:
    """The display that suits where output goes."""
    return LiveDisplay(plan, console) if console.is_terminal else Narrator(plan, console)


def duration(seconds: float) -> str:
    """Seconds as people say them: 4.2 s, 40 s, 3 min, 2.5 h, 6 days."""
    scales = ((9.95, 1, "s", 1), (90, 1, "s", 0), (5400, 60, "min", 0), (2 * 86400, 3600, "h", 1))
    for limit, divisor, unit, digits in scales:
        if seconds < limit:
            return f"{seconds / divisor:.{digits}f} {unit}"
    return f"{seconds / 86400:.0f} days"


def progress_note(metrics: Mapping[str, float], epoch: int) -> str:
    """What a stage last reported, in a few words."""
    parts = [f"epoch {epoch}"] if "loss_contrastive" in metrics else []
    parts += [f"{name.removeprefix('loss_')} {metrics[name]:.3f}" for name in metrics if name.startswith("loss_")]
    if "frames_per_second" in metrics:
        parts.append(f"{metrics['frames_per_second']:.0f} frames/s")
    for name, title in (("knn_accuracy", "kNN"), ("validation_accuracy", "validation")):
        if name in metrics:
            parts.append(f"{title} {metrics[name]:.1f} %")
    return ", ".join(parts)
