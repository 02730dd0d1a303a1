"""Live display of a running plan on a terminal: its trials, its running stages, and the expected time."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from study.console.lines import LinePrinter, progress_note
from study.core.graph import key
from study.core.plan import Plan
from study.core.study import Trial
from study.execution.events import Failure, Started
from study.home.text import duration
from trainers.stage import Progress, Stage

MAX_LINES = 12
"""Most lines of the table of trials; the other trials are counted."""
BAR_WIDTH = 20
REFRESHES_PER_SECOND = 4


@dataclass
class _RunningStage:
    """A stage that is computed now."""

    stage: Stage
    where: str
    since: float = field(default_factory=time.monotonic)
    fraction: float | None = None
    note: str = ""


class LiveDisplay(LinePrinter):
    """One line per event, and below them tables of the trials and of the running stages."""

    def __init__(self, plan: Plan, console: Console, home: Path) -> None:
        super().__init__(plan, console, home)
        self._running: dict[str, _RunningStage] = {}
        self._trials = {trial.number: _TrialLine(plan, trial) for trial in plan.trials}
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._live.stop()

    def on_started(self, stage: Stage, event: Started) -> None:
        self._running[key(stage)] = _RunningStage(stage, event.where)
        super().on_started(stage, event)

    def on_progress(self, stage: Stage, progress: Progress) -> None:
        super().on_progress(stage, progress)
        if running := self._running.get(key(stage)):
            running.fraction = progress.fraction
            self._note(stage, {**progress.metrics, **progress.speed()}, progress.epoch)

    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None:
        super().on_epoch(stage, number, metrics)
        self._note(stage, metrics, number)

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        super().on_failed(stage, failure)
        if key(stage) not in self._plan.tapes:  # what replays it is computed without
            self._mark_lost(stage, "failed")

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        super().on_blocked(stage, failure)
        self._mark_lost(stage, f"blocked by {failure.title}")

    def _note(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        if running := self._running.get(key(stage)):
            running.note = progress_note(metrics, epoch) or running.note

    def _settle(self, stage: Stage) -> None:
        super()._settle(stage)
        self._running.pop(key(stage), None)
        for number in self._plan.users[key(stage)]:
            self._trials[number].settle(key(stage))

    def _pause(self, stage: Stage) -> None:
        super()._pause(stage)
        self._running.pop(key(stage), None)

    def _announce_later(self, stage: Stage, event: str) -> None:
        """Prints nothing: the table shows the stage."""

    def _mark_lost(self, stage: Stage, why: str) -> None:
        for number in self._plan.users[key(stage)]:
            self._trials[number].lost = self._trials[number].lost or why

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [self._trials_table()] if len(self._trials) > 1 else []
        if self._running:
            parts.append(self._stages_table())
        return Group("", *parts, self.outlook())

    def _trials_table(self) -> Table:
        table = _table("trial", "stages: cached", "done", "left", "state")
        lines = [line for line in self._trials.values() if line.left or line.lost][:MAX_LINES]
        running = list(self._running.values())
        for line in lines:
            titles = [w.stage.title for w in running if line.number in self._plan.users[key(w.stage)]]
            counts = (line.num_cached, line.num_done, len(line.left))
            table.add_row(escape(self._row_names[line.number]), *map(str, counts), line.state(titles))
        rest = len(self._trials) - len(lines)
        if rest:
            done = sum(not line.left and not line.lost for line in self._trials.values())
            table.add_row(f"[dim]{rest} more[/]", "", "", "", f"[dim]{done} done, {rest - done} not shown[/]")
        return table

    def _stages_table(self) -> Table:
        table = _table("stage at work", "key", "for", "on", "progress", "", "left", "")
        for work in list(self._running.values()):
            elapsed = time.monotonic() - work.since
            percent = f"{100 * work.fraction:.0f} %" if work.fraction is not None else duration(elapsed)
            bar = ProgressBar(total=1.0, completed=work.fraction or 0.0, width=BAR_WIDTH, pulse=work.fraction is None)
            left = duration(self._forecast.stage_seconds(work.stage)) if work.fraction is not None else ""
            names = (escape(work.stage.title), key(work.stage)[:8], escape(self._rows(work.stage)), escape(work.where))
            table.add_row(*names, bar, percent, left, escape(work.note))
        return table


class _TrialLine:
    """The line of one trial in the table."""

    def __init__(self, plan: Plan, trial: Trial) -> None:
        self.number = trial.number
        self.left = {stage_key for stage_key in plan.missing if trial.number in plan.users[stage_key]}
        self.num_cached = sum(trial.number in plan.users[stage_key] for stage_key in plan.cached)
        self.num_done = 0
        self.lost = ""

    def settle(self, stage_key: str) -> None:
        self.left.discard(stage_key)
        self.num_done += 1

    def state(self, titles: list[str]) -> str:
        if self.lost:
            return f"[red]{escape(self.lost)}[/]"
        return escape(", ".join(titles[:3])) + (" …" if len(titles) > 3 else "") if titles else "[dim]waiting[/]"


def observer_for(plan: Plan, console: Console, home: Path) -> LinePrinter:
    """The live display on a terminal, one line per event elsewhere."""
    return LiveDisplay(plan, console, home) if console.is_terminal else LinePrinter(plan, console, home)


def _table(*headers: str) -> Table:
    table = Table(header_style="dim", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, no_wrap=True, overflow="ellipsis")
    return table
