"""What happens to the stages of a plan while it runs, and what became of them in the end."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainers.stage import InputError, MachineError, Stage

ANOTHER_PROCESS = "another process is computing it"
"""Why a stage waits whose claim is held."""
LAST_LINES = 5
"""Of a traceback, shown where a stage fails; its log has all of it."""


@dataclass(frozen=True)
class Failure:
    """Why a stage has no artifact; `failure_of` makes one of what a stage raised."""

    sentence: str
    """The message of an InputError, or the exception's last line."""
    expected: bool
    """Whether it was an InputError, which its reader can mend without the traceback."""
    last_lines: tuple[str, ...] = field(default=(), compare=False)
    """Of the traceback, where the failure was not expected."""
    machine: bool = False
    """Whether it was a MachineError: other values would meet it too, and the same ones will not once it is mended."""


def failure_of(error: Exception) -> Failure:
    """What a stage raised, as its failure."""
    if isinstance(error, InputError):
        return Failure(str(error), expected=True, machine=isinstance(error, MachineError))
    lines = [line for text in traceback.format_exception(error) for line in text.splitlines()]
    last = [line for line in lines if line.strip(" ~^")][-LAST_LINES:]  # without those that only underline
    return Failure(error_line(error), expected=False, last_lines=tuple(last))


def error_line(error: BaseException) -> str:
    """An exception in one line."""
    return traceback.format_exception_only(error)[-1].strip().partition("\n")[0]


@dataclass
class Outcome:
    """What became of a plan: failures and the stages they blocked, by key."""

    failures: dict[str, Failure] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    """Key of a blocked stage to the key of the failed one."""
    computed: list[str] = field(default_factory=list)

    def root_failure(self, stage_key: str) -> str | None:
        """The key of the failed stage that kept this one from being computed (itself perhaps), or None."""
        return stage_key if stage_key in self.failures else self.blocked.get(stage_key)


class Observer:
    """Hears what happens to the stages of a plan; it does nothing unless told otherwise."""

    def connected(self, description: str) -> None:
        """A Ray cluster was started or joined."""

    def started(self, stage: Stage, resumed: bool, where: str = "") -> None:
        """A stage is being computed; `resumed` if an interrupted run left something to go on from.

        `where` names the node that computes it, where there are several.
        """

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        """A stage reported."""

    def finished(self, stage: Stage, seconds: float) -> None:
        """A stage is published."""

    def found(self, stage: Stage) -> None:
        """Another process has published the stage meanwhile."""

    def waiting(self, stage: Stage, reason: str) -> None:
        """A stage cannot start yet, for a reason outside this run: another process computes it, or a node is gone."""

    def interrupted(self, stage: Stage, reason: str) -> None:
        """The process or the node that computed a stage was lost; the stage will go on from its last checkpoint."""

    def failed(self, stage: Stage, failure: Failure) -> None:
        """A stage raised."""

    def blocked(self, stage: Stage, by: Stage) -> None:
        """A stage cannot be computed because another one failed."""


class Observers(Observer):
    """Several observers that hear the same, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def connected(self, description: str) -> None:
        for observer in self._observers:
            observer.connected(description)

    def started(self, stage: Stage, resumed: bool, where: str = "") -> None:
        for observer in self._observers:
            observer.started(stage, resumed, where)

    def progress(self, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
        for observer in self._observers:
            observer.progress(stage, metrics, epoch)

    def finished(self, stage: Stage, seconds: float) -> None:
        for observer in self._observers:
            observer.finished(stage, seconds)

    def found(self, stage: Stage) -> None:
        for observer in self._observers:
            observer.found(stage)

    def waiting(self, stage: Stage, reason: str) -> None:
        for observer in self._observers:
            observer.waiting(stage, reason)

    def interrupted(self, stage: Stage, reason: str) -> None:
        for observer in self._observers:
            observer.interrupted(stage, reason)

    def failed(self, stage: Stage, failure: Failure) -> None:
        for observer in self._observers:
            observer.failed(stage, failure)

    def blocked(self, stage: Stage, by: Stage) -> None:
        for observer in self._observers:
            observer.blocked(stage, by)
