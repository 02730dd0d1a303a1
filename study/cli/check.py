"""Check of a study: every stage in one short pass; stages that only the check needs are removed when it has ended."""

from collections.abc import Collection
from dataclasses import replace

from study.cli.passing import PassingStages
from study.cli.planning import PlannedStudy
from study.cli.resources import ComputeTarget
from study.cli.study_run import compute_study
from study.core.checked_speeds import keep_speed, speed_of
from study.core.graph import key
from study.core.store import Store
from study.execution.events import Failure, Observer
from trainers.stage import Stage

MARKS = "checks"


def check_study(brief: PlannedStudy, target: ComputeTarget) -> dict[str, Failure]:
    """Computes the missing stages of a brief plan, and removes those that the full plan does not contain.

    A check that is interrupted, or meets a fault of the machine, removes nothing: the same check goes on with what is
    finished. The home folder holds a mark for each of these stages, so that a later check tells them from stages that
    were there before.

    Returns:
        The failures of stages by key.
    """
    full = PlannedStudy(brief.home, brief.request)
    own = brief.plan.stages.keys() - full.plan.stages.keys()
    passing = PassingStages(brief.store, MARKS)
    passing.mark(own - brief.plan.cached)
    failures = compute_study(brief, replace(target, callbacks=()), SpeedRecorder(brief.store, own))
    passing.remove(own)
    return failures


class SpeedRecorder(Observer):
    """Keeps what the stages of a check tell of the speed of longer ones, which plans use when they are removed.

    Args:
        store: the artifacts.
        own: keys of the stages that the check alone needs: the manifests of others stay.
    """

    def __init__(self, store: Store, own: Collection[str]) -> None:
        self._store = store
        self._own = own

    def on_finished(self, stage: Stage, seconds: float) -> None:
        speed = speed_of(stage, self._store.manifest(key(stage))) if key(stage) in self._own else None
        if speed is not None:
            keep_speed(self._store.home, speed)
