"""A driver of the broker's tests: submits stages, listens, and compares what was written with what should be."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from study.core.graph import key, walk
from study.core.tapes import with_tapes
from study.execution.events import EpochEnded, Progressed, StageEvent, Started
from study.execution.ray.broker import start_broker
from study.execution.ray.messages import StageOutcome, StageRequest
from study.execution.ray.pickling import requests_for
from study.execution.resources import Profile
from tests.study.steps import Step
from trainers.stage import Resources, Stage

ONE_EACH = Profile(default=Resources(workers=2))  # gangs of two, all others alone: a CPU to every worker
E = TypeVar("E", bound=StageEvent)
PATIENCE_SECONDS = 120


class Driver:
    """What a driver does with its broker: it submits, listens, and submits again to a broker that was restarted."""

    def __init__(self, ray: Any, home: Path) -> None:
        self._ray = ray
        self.broker = start_broker(home)
        self.heard: list[StageEvent] = []
        self._titles: dict[str, str] = {}
        self._sent: dict[str, list[StageRequest]] = {}
        self.incarnation = ""
        self._next = 0

    def submit(self, *last: Stage, asker: str = "driver", profile: Profile = ONE_EACH) -> None:
        stages = with_tapes(walk(*last), {})
        self._titles |= {stage_key: stage.title for stage_key, stage in stages.items()}
        self._sent[asker] = requests_for(stages, list(stages), profile.grant)
        self.incarnation = self.get("submit", self._sent[asker], asker)

    def get(self, method: str, *arguments: Any) -> Any:
        return self._ray.get(getattr(self.broker, method).remote(*arguments), timeout=PATIENCE_SECONDS)

    def outcome(self, stage: Stage, seconds: float = PATIENCE_SECONDS) -> StageOutcome:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            outcome: StageOutcome | None = self.get("wait", key(stage), 1.0)
            if outcome is not None and outcome.status == "unknown":
                for asker, sent in self._sent.items():
                    self.get("submit", sent, asker)
            elif outcome is not None:
                return outcome
        raise AssertionError(f"no outcome of {stage.title}: {self.story()}")

    def statuses(self, *stages: Stage) -> list[str]:
        return [self.outcome(stage).status for stage in stages]

    def listen(self, seconds: float = 0.0) -> None:
        incarnation, following, events = self.get("events", self.incarnation, self._next, seconds)
        self.incarnation, self._next = incarnation, following
        self.heard += events

    def story(self) -> list[str]:
        """The events but for reports, as `title kind`."""
        self.listen()
        return [
            f"{self._titles[event.key]} {kind_of(event)}"
            for event in self.heard
            if not isinstance(event, Progressed | EpochEnded)
        ]

    def hears(self, title: str, kind: type[E]) -> E:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self.listen(0.5)
            for event in self.heard:
                if self._titles[event.key] == title and isinstance(event, kind):
                    return event
        raise AssertionError(f"{title} {kind.__name__} was never heard: {self.story()}")


def kind_of(event: StageEvent) -> str:
    if isinstance(event, Started) and event.resumed:
        return "resumed"
    return type(event).__name__.lower()


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def once(*names: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(sorted(names), (1, 1))


def six_trials(diary: Path) -> list[Step]:
    """Two students of one teacher, three trials each."""
    teacher = Step(name="teacher", epochs=3, epoch_seconds=0.1, diary=diary)
    students = [Step(name=f"student{i}", needs=(teacher,), epochs=2, epoch_seconds=0.1, diary=diary) for i in range(2)]
    return [Step(name=f"trial{i}", needs=(students[i % 2],), diary=diary) for i in range(6)]


def start_second_driver(address: str, home: Path, diary: Path) -> "subprocess.Popen[bytes]":
    program = """
import sys
from pathlib import Path
import ray
sys.path.insert(0, sys.argv[1])
from tests.study.execution.ray.broker_driver import Driver, six_trials
ray.init(address=sys.argv[2], log_to_driver=False, logging_level="ERROR")
driver, trials = Driver(ray, Path(sys.argv[3])), six_trials(Path(sys.argv[4]))
driver.submit(*trials)
sys.exit(any(status not in ("computed", "found") for status in driver.statuses(*trials)))
"""
    return subprocess.Popen([sys.executable, "-c", program, str(Path.cwd()), address, home, diary])
