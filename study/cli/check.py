"""Check of a study: every stage in one short pass; stages that only the check needs are removed when it has ended."""

from contextlib import suppress
from dataclasses import replace

from study.cli.planning import PlannedStudy
from study.cli.resources import ComputeTarget
from study.cli.study_run import compute_study
from study.execution.events import Failure
from trainers.stage import MachineError

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
    folder = brief.home / MARKS
    folder.mkdir(exist_ok=True)
    for stage_key in own - brief.plan.cached:
        (folder / stage_key).touch()
    failures = compute_study(brief, replace(target, callbacks=()))
    for mark in (folder / stage_key for stage_key in own):
        if mark.exists():
            mark.unlink(missing_ok=True)
            if brief.store.find(mark.name):  # the log of a failed stage stays
                with suppress(MachineError):  # another process computes it
                    brief.store.remove(mark.name)
    return failures
