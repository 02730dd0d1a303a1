"""Curves of a trial's run: points logged while a stage computes, and those of its artifact that are still missing."""

from collections.abc import Mapping
from datetime import datetime

from study.analysis.results import PRETRAINING, TEMPORAL, TrialResult, last_of
from study.core.graph import key
from study.core.store import Store
from study.core.study import Trial
from study.tracking.journal import Journal
from trainers.stage import Stage

CURVES = {PRETRAINING: "pretrain", TEMPORAL: "temporal"}
"""Prefix of the metrics of a class of stages."""
NOT_A_METRIC = ("epoch", "fraction")


def own_stages(trials: Mapping[str, Trial], starting_points: frozenset[str]) -> dict[str, list[str]]:
    """The stages whose curves are a trial's own, each with the keys of the final stages of those trials."""
    own: dict[str, list[str]] = {}
    for trial_key, trial in trials.items():
        for class_name in (PRETRAINING, TEMPORAL):
            stage = last_of(trial, class_name)
            if stage is not None and key(stage) not in starting_points:
                own.setdefault(key(stage), []).append(trial_key)
    return own


def log_epoch(journal: Journal, stage: Stage, metrics: Mapping[str, float], epoch: int) -> None:
    """Logs what a stage reported at the end of an epoch."""
    prefix = CURVES[type(stage).__name__]
    journal.log_metrics({f"{prefix}/{name}": v for name, v in metrics.items() if name not in NOT_A_METRIC}, epoch)


def log_curves(journal: Journal, result: TrialResult, store: Store) -> None:
    """Logs the points of finished stages that were not logged while they were computed."""
    for class_name, curves in ((PRETRAINING, result.pretraining), (TEMPORAL, result.temporal)):
        stage = last_of(result.trial, class_name)
        if stage is None or not curves:
            continue
        finished = finish_time(store, key(stage))
        for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
            values = {name: curve[epoch] for name, curve in curves.items() if epoch in curve}
            journal.log_metrics({f"{CURVES[class_name]}/{name}": v for name, v in values.items()}, epoch, finished)


def finish_time(store: Store, stage_key: str) -> int:
    """When a stage was finished, in milliseconds."""
    return int(1000 * datetime.fromisoformat(store.manifest(stage_key).finished).timestamp())
