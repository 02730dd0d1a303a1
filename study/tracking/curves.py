"""Curves of a trial's run: points logged while a stage computes, and those of its artifact that are still missing."""

from collections.abc import Mapping
from datetime import datetime

from study.analysis.results import TrialResult, curve_stages
from study.core.graph import key
from study.core.store import Store
from study.core.study import Trial
from study.tracking.journal import Journal
from trainers.stage import Stage

NOT_A_METRIC = ("epoch", "fraction")


def own_stages(trials: Mapping[str, Trial], starting_points: frozenset[str]) -> dict[str, list[str]]:
    """The stages whose curves are a trial's own, each with the keys of the final stages of those trials."""
    own: dict[str, list[str]] = {}
    for trial_key, trial in trials.items():
        for stage in curve_stages(trial).values():
            if key(stage) not in starting_points:
                own.setdefault(key(stage), []).append(trial_key)
    return own


def points_of(stage: Stage, metrics: Mapping[str, float]) -> dict[str, float]:
    """The points of what a stage reported at the end of an epoch, by their names in MLflow."""
    return {f"{stage.curves}/{name}": value for name, value in metrics.items() if name not in NOT_A_METRIC}


def log_curves(journal: Journal, result: TrialResult, store: Store) -> None:
    """Logs the points of finished stages that were not logged while they were computed."""
    stages = curve_stages(result.trial)
    for name, curves in result.curves.items():
        if not curves:
            continue
        finished = finish_time(store, key(stages[name]))
        for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
            values = {f"{name}/{metric}": curve[epoch] for metric, curve in curves.items() if epoch in curve}
            journal.log_metrics(values, epoch, finished)


def finish_time(store: Store, stage_key: str) -> int:
    """Time at which a stage was finished, in milliseconds."""
    return int(1000 * datetime.fromisoformat(store.manifest(stage_key).finished).timestamp())
