"""Check of a study: every stage in one short pass; stages that only the check needs are removed when it has ended."""

from dataclasses import replace

from study.cli.passing import PassingStages
from study.cli.planning import PlannedStudy
from study.cli.resources import ComputeTarget
from study.cli.study_run import compute_study
from study.execution.events import Failure

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
    failures = compute_study(brief, replace(target, callbacks=()))
    passing.remove(own)
    return failures
