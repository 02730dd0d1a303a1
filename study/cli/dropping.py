"""Removal of features during a run, once all that reads them is finished: they are most of what a study leaves."""

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from study.cli.resources import ComputeTarget
from study.core.graph import inputs, key
from study.core.plan import Plan
from study.core.store import Store
from study.execution.events import Observer
from study.home.runs import active_runs
from trainers.stage import MachineError, Stage


@dataclass
class FeatureDropper(Observer):
    """Removes the stages of a plan that may be removed, each when the stages of the plan that read it are finished.

    A later command that needs one of them has it computed again. One that runs beside this one may read it now, so that
    nothing is removed then: the next run does it.

    Attributes:
        plan: the stages.
        store: the artifacts.
        is_alone: whether no other command is at work in the home.
    """

    plan: Plan
    store: Store
    is_alone: Callable[[], bool]
    _readers: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._readers = {stage_key: set() for stage_key, stage in self.plan.stages.items() if stage.is_removable}
        for reader in self.plan.missing:
            for read in self._removable_inputs(self.plan.stages[reader]):
                self._readers[read].add(reader)
        for stage_key, readers in self._readers.items():
            if not readers:
                self._drop(stage_key)

    def on_finished(self, stage: Stage, seconds: float) -> None:
        self._note_finished(stage)

    def on_found(self, stage: Stage) -> None:
        self._note_finished(stage)

    def _note_finished(self, stage: Stage) -> None:
        for read in self._removable_inputs(stage):
            self._readers[read].discard(key(stage))
            if not self._readers[read]:
                self._drop(read)

    def _removable_inputs(self, stage: Stage) -> set[str]:
        return {key(each) for each in inputs(stage).values()} & self._readers.keys()

    def _drop(self, stage_key: str) -> None:
        if self.store.find(stage_key) and self.is_alone():
            with suppress(MachineError):  # another process computes it
                self.store.remove(stage_key)


def droppers_of(target: ComputeTarget, plan: Plan, store: Store) -> tuple[FeatureDropper, ...]:
    """The observer that removes the features of a run; none where that is not asked for."""
    if not target.drop_features:
        return ()

    def is_alone() -> bool:
        own = platform.node(), os.getpid()
        return all((process.host, process.pid) == own for process in active_runs(store.home))

    return (FeatureDropper(plan, store, is_alone),)
