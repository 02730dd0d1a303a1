"""Stub stages that write a diary, and what computes them in this process."""

import errno
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Failure, Observer, Outcome, Started
from study.execution.local import run
from trainers.stage import InputError, Progress, Resources, Stage, Work

NOWHERE = Path("/nowhere")


@dataclass(frozen=True, kw_only=True)
class Step(Stage):
    """Takes `steps` steps with a checkpoint after each, and writes each step's name down outside its folder."""

    name: str
    needs: tuple[Stage, ...] = ()
    steps: int = 1
    raises: str = ""
    diary: Path = field(default=NOWHERE, compare=False)
    pause_seconds: float = field(default=0.0, compare=False)

    @property
    def title(self) -> str:
        return self.name

    def run(self, work: Work) -> None:
        for folder in work.inputs.values():
            assert (folder / "done").exists()
        print(f"{self.name} says hello")
        checkpoint = work.output / "checkpoint"
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for number in range(first, self.steps):
            self._write(f"{self.name}{number}")
            time.sleep(self.pause_seconds)
            checkpoint.write_text(str(number + 1))
            work.progress((number + 1) / self.steps, epoch=number)
        if self.raises == "InputError":
            raise InputError("the moon is full: wait.")
        if self.raises == "ENOSPC":
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.raises == "KeyboardInterrupt":
            raise KeyboardInterrupt
        if self.raises == "exit":
            sys.exit(3)
        if self.raises == "BaseException":
            raise BaseException("of its own")
        if self.raises:
            raise ValueError("first line\nsecond line")
        (work.output / "done").write_text(self.name)
        checkpoint.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        if self.diary != NOWHERE:
            with self.diary.open("a") as file:
                file.write(line + "\n")

    def expected_seconds(self) -> float:
        return 1.0


class Listener(Observer):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.failures: list[Failure] = []

    def on_started(self, stage: Stage, event: Started) -> None:
        self.heard.append(f"{stage.title} {'resumed' if event.resumed else 'started'}")

    def on_progress(self, stage: Stage, progress: Progress) -> None:
        assert progress.fraction > 0

    def on_finished(self, stage: Stage, seconds: float) -> None:
        assert seconds >= 0
        self.heard.append(f"{stage.title} finished")

    def on_found(self, stage: Stage) -> None:
        self.heard.append(f"{stage.title} found")

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self.failures.append(failure)
        self.heard.append(f"{stage.title} failed")

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        self.heard.append(f"{stage.title} blocked by {failure.title}")


def compute(home: Path, *stages: Stage, observer: Observer | None = None) -> Outcome:
    store = Store(home)
    return run(make_plan(standalone(stages), store), store, lambda stage: Resources(), observer or Observer())


def chain(diary: Path = NOWHERE, pause_seconds: float = 0.0) -> Step:
    first = Step(name="first", diary=diary)
    return Step(name="second", needs=(first,), steps=6, diary=diary, pause_seconds=pause_seconds)
