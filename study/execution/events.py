"""Events of a plan's stages while it runs, those who follow them, and the outcome."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from study.core.graph import key
from trainers.stage import FreelunchError, MachineError, Progress, Report, Stage

ANOTHER_PROCESS = "another process is computing it"
"""Reason for which a stage waits whose claim is held."""
LONGEST_LINE = 500
LAST_LINES = 5
"""Of a traceback, shown where a stage fails; its log has all of it."""


class StageStopped(BaseException):
    """Raised by an observer through the stage that reports to it: the run ends there, and the stage has not failed."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Failure of a stage: the one record of it, from what was raised to the exit code.

    Attributes:
        sentence: the message of a FreelunchError, or the last line of another exception.
        fault: `input`: its reader can correct it; `machine`: other values would meet it too, and the same ones will
            not once the machine is repaired; `program`: an exception that nobody expected.
        key: of the stage that failed; empty where it was no stage.
        title: of that stage.
        last_lines: of the traceback, where the fault is the program's.
    """

    sentence: str
    fault: Literal["input", "machine", "program"]
    key: str = ""
    title: str = ""
    last_lines: tuple[str, ...] = field(default=(), compare=False)


def failure_of(error: Exception, *, key: str, title: str) -> Failure:
    """The failure of a stage that raised an error."""
    if isinstance(error, FreelunchError):
        fault: Literal["input", "machine"] = "machine" if isinstance(error, MachineError) else "input"
        return Failure(sentence=str(error), fault=fault, key=key, title=title)
    lines = [line for text in traceback.format_exception(error) for line in text.splitlines()]
    last = [line for line in lines if line.strip(" ~^")][-LAST_LINES:]  # without those that only underline
    return Failure(sentence=error_line(error), fault="program", key=key, title=title, last_lines=tuple(last))


def error_line(error: BaseException) -> str:
    """An exception in one line."""
    return traceback.format_exception_only(error)[-1].strip().partition("\n")[0][:LONGEST_LINE]


@dataclass(frozen=True, kw_only=True)
class _OfStage:
    """An event of the stage with a key."""

    key: str


@dataclass(frozen=True, kw_only=True)
class Started(_OfStage):
    """A stage is being computed.

    Attributes:
        resumed: whether an interrupted run left something to go on from.
        where: the node that computes it, where there are several.
    """

    resumed: bool
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Progressed(_OfStage):
    """A stage reported how far it is."""

    progress: Progress


@dataclass(frozen=True, kw_only=True)
class EpochEnded(_OfStage):
    """A stage reported the end of an epoch (1-based) and its metrics."""

    number: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Finished(_OfStage):
    """A stage is computed and published; `seconds` is its computing time."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Found(_OfStage):
    """Another process has published the stage meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Waiting(_OfStage):
    """A stage cannot start yet for a reason outside this run: another process computes it, or a node is gone."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Interrupted(_OfStage):
    """The process or the node that computed a stage was lost; the stage will go on from its last checkpoint."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Failed(_OfStage):
    """A stage raised, or its process died too often."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Blocked(_OfStage):
    """A stage cannot be computed because one that it needs failed."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class DiskFull(_OfStage):
    """A stage found the disk full; nothing new starts."""

    failure: Failure


StageEvent = Started | Progressed | EpochEnded | Finished | Found | Waiting | Interrupted | Failed | Blocked | DiskFull
SETTLED = (Finished, Found, Failed, Blocked)
"""After these nothing more happens to a stage."""


def event_of(stage_key: str, report: Report) -> Progressed | EpochEnded:
    """The event that a running stage's report is."""
    if isinstance(report, Progress):
        return Progressed(key=stage_key, progress=report)
    return EpochEnded(key=stage_key, number=report.number, metrics=report.metrics)


class Observer:
    """Follows the stages of a run; each kind of event has a method, which does nothing where it is not overridden."""

    def on_connected(self, description: str) -> None:
        """A Ray cluster was started or joined."""

    def on_event(self, stage: Stage, event: StageEvent) -> None:
        """Calls the method for an event of a stage."""
        match event:
            case Started():
                self.on_started(stage, event)
            case Progressed():
                self.on_progress(stage, event.progress)
            case EpochEnded():
                self.on_epoch(stage, event.number, event.metrics)
            case Finished():
                self.on_finished(stage, event.seconds)
            case Found():
                self.on_found(stage)
            case Waiting():
                self.on_waiting(stage, event.reason)
            case Interrupted():
                self.on_interrupted(stage, event.reason)
            case Failed():
                self.on_failed(stage, event.failure)
            case Blocked():
                self.on_blocked(stage, event.failure)
            case DiskFull():
                self.on_disk_full(stage, event.failure)
            case _:
                assert_never(event)

    def on_started(self, stage: Stage, event: Started) -> None: ...

    def on_progress(self, stage: Stage, progress: Progress) -> None: ...

    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None: ...

    def on_finished(self, stage: Stage, seconds: float) -> None: ...

    def on_found(self, stage: Stage) -> None: ...

    def on_waiting(self, stage: Stage, reason: str) -> None: ...

    def on_interrupted(self, stage: Stage, reason: str) -> None: ...

    def on_failed(self, stage: Stage, failure: Failure) -> None: ...

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        """A stage cannot be computed; `failure` is that of another one, which it needs."""

    def on_disk_full(self, stage: Stage, failure: Failure) -> None: ...


class Observers(Observer):
    """Several observers, called in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_connected(self, description: str) -> None:
        for observer in self._observers:
            observer.on_connected(description)

    def on_event(self, stage: Stage, event: StageEvent) -> None:
        for observer in self._observers:
            observer.on_event(stage, event)


@dataclass
class Outcome(Observer):
    """Outcome of a plan, kept up to date by its events.

    Attributes:
        failures: of stages that failed, by key.
        blocked: stages that a failure kept from being computed: by key, that failure.
        computed: keys of the stages that this run computed.
    """

    failures: dict[str, Failure] = field(default_factory=dict)
    blocked: dict[str, Failure] = field(default_factory=dict)
    computed: list[str] = field(default_factory=list)

    def root_failure(self, stage_key: str) -> Failure | None:
        """The failure that kept a stage from being computed, its own or another's, or None."""
        return self.failures.get(stage_key) or self.blocked.get(stage_key)

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self.computed.append(key(stage))

    def on_failed(self, stage: Stage, failure: Failure) -> None:
        self.failures[key(stage)] = failure

    def on_blocked(self, stage: Stage, failure: Failure) -> None:
        self.blocked[key(stage)] = failure
