"""Stages that were requested of the broker: the task of each, its attempts, and what its epochs reported."""

import asyncio
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from study.execution.ray.messages import StageOutcome, StageRequest


@dataclass(kw_only=True, eq=False)
class Job:
    """A requested stage.

    Attributes:
        request: the request.
        number: its place in the order of requests.
        task: the broker's task that ends with its outcome.
        attempt: name of the Ray task that is queued or at work; empty where there is none.
        begun: whether that is at work.
        ref: Ray's reference to it.
        deaths: how often its process has died since the last epoch that it finished.
        curve: metrics by epoch.
    """

    request: StageRequest
    number: int
    task: "asyncio.Task[StageOutcome]" = field(init=False)
    attempt: str = ""
    begun: bool = False
    ref: Any = None
    deaths: int = 0
    curve: dict[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its key."""
        return self.request.key

    @property
    def outcome(self) -> StageOutcome | None:
        """Its outcome; None where it has none yet."""
        if not self.task.done():
            return None
        return StageOutcome(status="stopped") if self.task.cancelled() else self.task.result()

    def cancel(self) -> None:
        """Cancels its task."""
        if not self.task.cancelling():  # a second time would cut the first short
            self.task.cancel()


def needed_by(asked: Mapping[str, Set[str]], jobs: Mapping[str, Job]) -> set[str]:
    """The stages that are asked for, and all that lead to them.

    Args:
        asked: the keys of the stages that each asker asks for.
        jobs: the requested stages, by key.
    """
    needed: set[str] = set()
    pending = [key for keys in asked.values() for key in keys]
    while pending:
        key = pending.pop()
        if key not in needed and key in jobs:
            needed.add(key)
            request = jobs[key].request
            pending.extend((*request.inputs, *request.aids))
    return needed
