"""Progress bar of a command that works through a number of things."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.markup import escape
from rich.progress import Progress, TaskID

from study.console.terminal import new_console


@dataclass(frozen=True)
class Bar:
    """A progress bar on standard error, which is shown on terminals alone."""

    progress: Progress
    task: TaskID

    def show(self, completed: float, title: str | None = None) -> None:
        """Shows how much is done, and another title."""
        self.progress.update(self.task, completed=completed, description=None if title is None else escape(title))

    def advance(self) -> None:
        """Shows that one thing more is done."""
        self.progress.advance(self.task)

    def say(self, line: str, *, error: bool = False) -> None:
        """Prints a line: above the bar where there is one."""
        if self.progress.live.is_started and not self.progress.disable:
            self.progress.console.print(escape(line), highlight=False, soft_wrap=True)
        else:
            click.echo(line, err=error)


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Bar]:
    """A progress bar, while the block lasts."""
    console = new_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, progress.add_task(title, total=total))
