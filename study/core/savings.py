"""Savings from shared stages, per study: in stages, and in expected or recorded seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.core.graph import walk
from study.core.plan import Plan
from study.core.store import Store
from study.core.suite import Part, names_of


@dataclass(frozen=True, kw_only=True)
class Share:
    """Stages and seconds of one study.

    Attributes:
        study: its name, or whatever tells it apart from the others.
        num_trials: number of its trials.
        num_naive: stages if its trials shared none.
        num_alone: its distinct stages.
        num_new: its distinct stages that no earlier study of the suite needs.
        naive_seconds: expected seconds of `num_naive` stages.
        alone_seconds: expected seconds of `num_alone` stages.
        new_seconds: expected seconds of `num_new` stages.
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
    """Recorded seconds of the finished stages of a plan.

    Attributes:
        num_finished: number of finished stages.
        num_stages: number of all stages.
        seconds: their recorded seconds.
        naive_seconds: the same if every trial had computed its own stages.
    """

    num_finished: int
    num_stages: int
    seconds: float
    naive_seconds: float


def shares(plan: Plan, parts: Sequence[Part]) -> list[Share]:
    """The savings of every study: what it would compute alone, and what it adds to the studies before it."""
    found: list[Share] = []
    known: set[str] = set()
    for name, part in zip(names_of(parts), parts, strict=True):
        needed = [walk(trial.stage).keys() for trial in part.trials]
        own = set().union(*needed)
        naive, alone, new = (
            sum(plan.seconds[stage_key] for stage_key in keys)
            for keys in ([each for keys in needed for each in keys], own, own - known)
        )
        share = Share(
            study=name,
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
    """The seconds that the manifests of a plan's finished stages record."""
    seconds = {stage_key: store.manifest(stage_key).seconds for stage_key in plan.stages if store.find(stage_key)}
    return Recorded(
        num_finished=len(seconds),
        num_stages=len(plan.stages),
        seconds=sum(seconds.values()),
        naive_seconds=sum(took * len(plan.users[stage_key]) for stage_key, took in seconds.items()),
    )
