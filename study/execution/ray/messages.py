"""Messages between driver and broker: requests go there, events and the outcome of every stage come back."""

from dataclasses import dataclass, field
from typing import Literal

from study.execution.events import Failure
from trainers.stage import Resources


@dataclass(frozen=True, kw_only=True)
class StageRequest:
    """Request for a stage: all that the broker knows of it.

    Attributes:
        key: the stage's key.
        title: the stage's name in messages.
        inputs: keys of the stages that must be computed before it; those that were finished already are left out.
        aids: keys of the stages that it waits for, too, but is computed without where they fail.
        resources: what it is granted.
        stage: the pickled stage, which only the process that computes it opens.
    """

    key: str
    title: str
    inputs: tuple[str, ...]
    resources: Resources
    stage: bytes = field(repr=False)
    aids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """Outcome of a requested stage.

    Attributes:
        status: `computed` and `found` mean that its artifact is there; `unknown` that this broker has no request for
            it, perhaps because it was restarted, or has cancelled it because nobody asked for it any more.
        failure: of `failed`, `blocked` and `disk full`: the failure it began with, its own or another stage's.
    """

    status: Literal["computed", "found", "failed", "blocked", "disk full", "stopped", "unknown"]
    failure: Failure | None = None

    @property
    def is_done(self) -> bool:
        """Whether the artifact is there."""
        return self.status in ("computed", "found")
