"""What it saves that equal stages are one, study by study: counted in stages, and in seconds expected or recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.core.graph import walk
from study.core.plan import Plan
from study.core.store import Store
from study.core.suite import Part


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one study needs.

    Attributes:
        study: its name.
        num_trials: how many trials it asks for.
        num_naive: stages if no trial shared any.
        num_alone: distinct stages.
        num_new: those of them that no study above needs.
        naive_seconds: expected of the first, the second and the third.
        alone_seconds: see above.
        new_seconds: see above.
    """

    study: str
    num_trials: int
    num_naive: int
    num_alone: int
    num_new: int
    naive_seconds: float
    alone_seconds: float
    new_seconds: float


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the finished stages of a plan really took.

    Attributes:
        num_finished: how many of the stages are finished.
        num_stages: how many there are.
        seconds: their recorded seconds.
        naive_seconds: the same seconds, had every trial that needs a stage computed it for itself.
    """

    num_finished: int
    num_stages: int
    seconds: float
    naive_seconds: float


def shares(plan: Plan, parts: Sequence[Part]) -> list[Share]:
    """What every study would compute alone, and what it adds to those above it."""
    found: list[Share] = []
    known: set[str] = set()
    for part in parts:
        needed = [walk(trial.stage).keys() for trial in part.trials]
        own = set().union(*needed)
        naive, alone, new = (
            sum(plan.seconds[stage_key] for stage_key in keys)
            for keys in ([each for keys in needed for each in keys], own, own - known)
        )
        share = Share(
            study=part.study.name,
            num_trials=len(part.trials),
            num_naive=sum(map(len, needed)),
            num_alone=len(own),
            num_new=len(own - known),
            naive_seconds=naive,
            alone_seconds=alone,
            new_seconds=new,
        )
        found.append(share)
        known |= own
    return found


def recorded(plan: Plan, store: Store) -> Recorded:
    """What the manifests of a plan's finished stages say."""
    seconds = {stage_key: store.manifest(stage_key).seconds for stage_key in plan.stages if store.find(stage_key)}
    return Recorded(
        num_finished=len(seconds),
        num_stages=len(plan.stages),
        seconds=sum(seconds.values()),
        naive_seconds=sum(took * len(plan.users[stage_key]) for stage_key, took in seconds.items()),
    )
