"""A driver to kill: runs a plan of stub stages on Ray as the command line does, and prints what it hears.

python -m tests.study.execution.ray.ray_program PLAN HOME DIARY [ADDRESS]
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Failure, Observer, Outcome, Started
from study.execution.ray.runner import run_on_ray
from study.execution.resources import Profile
from study.home.interrupts import handle_interrupts
from tests.study.steps import Gang, Step
from trainers.stage import Resources, Stage, Work

TEACHER_EPOCHS = 6
EXIT_INTERRUPTED = 130


class Printer(Observer):
    """Prints a line for every event but progress."""

    def on_started(self, stage: Stage, event: Started) -> None:
        self._tell(stage, "resumed" if event.resumed else "started")

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self._tell(stage, "finished")

    def on_found(self, stage: Stage) -> None:
        self._tell(stage, "found")

    def on_interrupted(self, stage: Stage, reason: str) -> None:
        self._tell(stage, f"interrupted: {reason}")

    def on_waiting(self, stage: Stage, reason: str) -> None:
        self._tell(stage, f"waiting: {reason}")

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self._tell(stage, f"failed: {failure.sentence}")

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        self._tell(stage, f"blocked by {failure.title}")

    def _tell(self, stage: Stage, what: str) -> None:
        print(stage.title, what, flush=True)


def shared(diary: Path, epoch_seconds: float = 0.3) -> list[Stage]:
    """Six last stages that share a teacher and two students."""
    data = Step(name="data", diary=diary)
    teacher = Step(name="teacher", needs=(data,), epochs=TEACHER_EPOCHS, epoch_seconds=epoch_seconds, diary=diary)
    students = [Step(name=f"student{i}", needs=(data, teacher), epochs=2, diary=diary) for i in range(2)]
    return [Step(name=f"final{i}", needs=(students[i % 2],), diary=diary) for i in range(6)]


def mixed(diary: Path) -> list[Stage]:
    """Sixteen last stages, of one and of two workers, that wait for others of one and of two workers."""
    firsts = [kind(name=f"{kind.__name__}{i}", diary=diary) for i in range(3) for kind in (Step, Gang)]
    kinds = (Step, Gang) * 8
    return [kind(name=f"last{i}", needs=tuple(firsts), diary=diary) for i, kind in enumerate(kinds)]


def training(diary: Path) -> list[Stage]:
    """A pre-training, for two workers of Ray Train."""
    from tests.study.execution.ray.training_plan import pretraining  # torch, which the other plans do without

    return [pretraining()]


def on_other_nodes(diary: Path) -> list[Stage]:
    """The shared plan, where the head node has too few CPUs for its stages."""
    return shared(diary)


def slow(diary: Path) -> list[Stage]:
    """The shared plan, where the process of a stage, which may outlive its driver for a moment, does not finish it."""
    return shared(diary, epoch_seconds=2.0)


@dataclass(frozen=True, kw_only=True)
class Stubborn(Step):
    """Takes no interrupt."""

    def train(self, work: Work, epoch: int) -> None:
        deadline = time.monotonic() + self.epoch_seconds
        while time.monotonic() < deadline:
            try:
                time.sleep(0.1)
            except KeyboardInterrupt:
                self.note(f"interrupted {self.name}")


def stubborn(diary: Path) -> list[Stage]:
    """A stage that does not stop when it is asked to."""
    return [Stubborn(name="stubborn", epochs=100, epoch_seconds=1.0, diary=diary)]


PLANS: Mapping[str, Callable[[Path], list[Stage]]] = {
    plan.__name__: plan for plan in (shared, slow, stubborn, on_other_nodes, mixed, training)
}
THREADS = {"on_other_nodes": 3}  # more than the head node has


def run(name: str, home: Path, diary: Path, address: str | None = None, observer: Observer | None = None) -> Outcome:
    store = Store(home)
    plan = make_plan(standalone(PLANS[name](diary)), store)
    profile = Profile(default=Resources(workers=2, threads=THREADS.get(name, 1)))
    return run_on_ray(plan, store, lambda cpus, gpus: profile, observer or Printer(), address=address)


if __name__ == "__main__":
    try:
        with handle_interrupts():
            outcome = run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(bool(outcome.failures))
