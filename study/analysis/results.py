"""What the trials of a study left behind, read from their artifacts: scores, curves, predictions, and gaps."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from study.core.graph import key, walk
from study.core.rows import Row
from study.core.store import Store
from study.core.study import Study, Trial
from trainers.stage import Stage

SUMMARY = "summary.json"
PER_VIDEO = "per_video.parquet"
PER_PHASE = "per_phase.parquet"
PREDICTIONS = "predictions.parquet"
HISTORY = "history.parquet"
PRETRAINING, TEMPORAL = "Pretrain", "TrainTemporal"
PROTOCOLS = ("strict", "relaxed_fixed", "relaxed_official")
FRAMEWISE = "framewise"
NOT_COMPUTED = "not computed yet"

Curves = Mapping[str, Mapping[int, float]]
"""metric -> epoch -> value."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What the last stage of a trial says, in percent; undefined values are None."""

    summary: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """protocol -> metric -> mean, std, and over what the std is taken."""
    per_video: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    """protocol -> metric -> video -> value."""
    per_phase: Mapping[str, Mapping[str, float | None]]
    """metric of the strict protocol -> phase -> mean over the videos that define it."""
    phases: tuple[str, ...]
    num_videos: int
    num_frames: int
    fps: float
    absent: str


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One video: phase indices, a row per sampled frame; -1 is unlabelled."""

    truth: npt.NDArray[np.int8]
    prediction: npt.NDArray[np.int8]

    @property
    def accuracy(self) -> float:
        """Share of labelled frames that are right, in percent; for captions only."""
        known = self.truth >= 0
        return 100 * float(np.mean(self.truth[known] == self.prediction[known]))


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial; `scores` is None where `problem` says why."""

    trial: Trial
    scores: Scores | None
    problem: str
    pretraining: Curves
    """Of the pre-training that is this row's own; empty where it only takes over what other rows start from."""
    temporal: Curves


@dataclass(frozen=True, kw_only=True)
class RowScore:
    """One metric of one row: its mean and standard deviation, both averaged over seeds, and the spread over seeds."""

    mean: float
    std: float | None
    over: str
    seed_std: float | None
    by_seed: Mapping[int, float | None]


@dataclass(frozen=True)
class RowResult:
    """One line of the table: its trials, seed by seed."""

    row: Row
    trials: tuple[TrialResult, ...]

    @cached_property
    def scored(self) -> dict[int, Scores]:
        """The scores of every computed seed."""
        return {result.trial.seed: result.scores for result in self.trials if result.scores is not None}

    @property
    def problems(self) -> tuple[str, ...]:
        """Why seeds are missing, one sentence each."""
        return tuple(f"seed {r.trial.seed}: {r.problem}" for r in self.trials if r.problem)

    def score(self, protocol: str, metric: str) -> RowScore | None:
        """A metric over the seeds; None where no seed defines it. Trials with equal final stages count once."""
        entries = {seed: scores.summary.get(protocol, {}).get(metric) for seed, scores in self.scored.items()}
        by_seed = {seed: entry["mean"] for seed, entry in entries.items() if entry}
        once = {key(r.trial.stage): entries[r.trial.seed] for r in self.trials if r.trial.seed in by_seed}
        distinct = [entry for entry in once.values() if entry and entry["mean"] is not None]
        if not distinct:
            return None
        means, stds = [e["mean"] for e in distinct], [e["std"] for e in distinct if e["std"] is not None]
        return RowScore(
            mean=statistics.fmean(means),
            std=statistics.fmean(stds) if stds else None,
            over=distinct[0]["over"],
            seed_std=statistics.stdev(means) if len(means) > 1 else None,
            by_seed=by_seed,
        )

    def values(self, metric: str) -> dict[int, Mapping[str, float | None]]:
        """The strict per-video values of a metric: seed -> video -> value."""
        return {seed: scores.per_video["strict"][metric] for seed, scores in self.scored.items()}

    def phase_mean(self, metric: str, phase: str) -> float | None:
        """A strict metric of one phase, the mean over seeds."""
        found = [value for s in self.scored.values() if (value := s.per_phase.get(metric, {}).get(phase)) is not None]
        return statistics.fmean(found) if found else None

    def curve(self, metric: str, *, of: str = PRETRAINING) -> dict[int, float]:
        """A curve as the mean over the seeds that reached an epoch."""
        collected: dict[int, list[float]] = {}
        for curve in self.curves(metric, of=of):
            for epoch, value in curve.items():
                collected.setdefault(epoch, []).append(value)
        return {epoch: statistics.fmean(values) for epoch, values in sorted(collected.items())}

    def curves(self, metric: str, *, of: str = PRETRAINING) -> list[Mapping[int, float]]:
        """The curve of every seed that has one."""
        found = [result.pretraining if of == PRETRAINING else result.temporal for result in self.trials]
        return [curves[metric] for curves in found if curves.get(metric)]

    @property
    def probe_accuracy(self) -> float | None:
        """The kNN probe on validation videos after the last epoch."""
        curve = self.curve("knn_accuracy")
        return curve[max(curve)] if curve else None


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a report is made of."""

    study: Study
    rows: tuple[RowResult, ...]
    """In the study's order, baselines last."""

    @property
    def asked(self) -> tuple[RowResult, ...]:
        """The rows that are the study's question."""
        return tuple(result for result in self.rows if not result.row.baseline)

    @property
    def reference(self) -> RowResult | None:
        """The row that others are compared with, where it has been computed."""
        return next((r for r in self.rows if r.row.name == self.study.reference and r.scored), None)

    @property
    def any_scores(self) -> Scores | None:
        """The scores of some computed trial: what all of them have in common can be read there."""
        return next((scores for result in self.rows for scores in result.scored.values()), None)

    @property
    def num_seeds(self) -> int:
        return len({result.trial.seed for row in self.rows for result in row.trials})


def read_results(study: Study, trials: Sequence[Trial], store: Store, problems: Mapping[int, str]) -> Results:
    """Reads what is there; a trial without its artifact keeps its line, with the sentence that says why."""
    starting_points = starting_points_of(trials)
    by_row: dict[str, list[TrialResult]] = {}
    for trial in trials:
        by_row.setdefault(trial.row.name, []).append(read_trial(trial, store, problems, starting_points))
    rows = [RowResult(results[0].trial.row, tuple(results)) for results in by_row.values()]
    return Results(study=study, rows=tuple(sorted(rows, key=lambda result: result.row.baseline)))


def read_predictions(trial: Trial, store: Store) -> dict[str, Predictions]:
    """The test predictions of a trial by video; empty where they are not there."""
    for stage_key in reversed(walk(trial.stage)):
        folder = store.find(stage_key)
        if folder is not None and (folder / PREDICTIONS).exists():
            return _read_predictions(folder / PREDICTIONS)
    return {}


def read_all_predictions(results: Results, store: Store) -> dict[str, dict[str, Predictions]]:
    """The predictions of every row's first computed seed: row -> video -> predictions."""
    first = {r.row.name: next((t.trial for t in r.trials if t.scores), None) for r in results.rows}
    return {row: read_predictions(trial, store) for row, trial in first.items() if trial is not None}


def median_video(results: Results) -> str | None:
    """The test video whose strict accuracy is the (lower) median of the reference row, or of the first computed one."""
    result = results.reference or next((r for r in results.rows if r.scored), None)
    if result is None:
        return None
    accuracies = next(iter(result.values("accuracy").values()))
    ordered = sorted((value, video) for video, value in accuracies.items() if value is not None)
    return ordered[(len(ordered) - 1) // 2][1]


def phase_title(name: str) -> str:
    """CalotTriangleDissection as a reader would write it."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).replace("_", " ").strip()


def read_trial(trial: Trial, store: Store, problems: Mapping[int, str], starting_points: frozenset[str]) -> TrialResult:
    """Reads what a trial left behind; its pre-training's curves unless other trials start from that one."""
    stage_key = key(trial.stage)
    found = store.find(stage_key) is not None
    pretraining = last_of(trial, PRETRAINING)
    own = pretraining is not None and key(pretraining) not in starting_points
    return TrialResult(
        trial=trial,
        scores=_read_scores(stage_key, store) if found else None,
        problem="" if found else problems.get(trial.number, NOT_COMPUTED),
        pretraining=read_curves(pretraining, store) if own else {},
        temporal=read_curves(last_of(trial, TEMPORAL), store),
    )


def starting_points_of(trials: Sequence[Trial]) -> frozenset[str]:
    """Keys of the pre-trainings that some trial goes on from: free weights and teachers."""
    keys: set[str] = set()
    for trial in trials:
        keys.update([k for k, stage in walk(trial.stage).items() if type(stage).__name__ == PRETRAINING][:-1])
    return frozenset(keys)


def last_of(trial: Trial, class_name: str) -> Stage | None:
    """The last stage of a class on the way to a trial's final one."""
    stages = [stage for stage in walk(trial.stage).values() if type(stage).__name__ == class_name]
    return stages[-1] if stages else None


def final_scores(folder: Path) -> dict[str, float]:
    """The mean scores in an artifact of `Evaluate`, by `test/PROTOCOL/METRIC`; none in those of other stages."""
    if not (folder / SUMMARY).exists():
        return {}
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    means = {
        f"test/{protocol}/{metric}": entry["mean"]
        for protocol in (*PROTOCOLS, FRAMEWISE)
        for metric, entry in summary.get(protocol, {}).items()
    }
    return {name: mean for name, mean in means.items() if mean is not None}


def _read_scores(stage_key: str, store: Store) -> Scores:
    folder, config = store.check(stage_key), store.manifest(stage_key).config
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Scores(
        summary={name: summary[name] for name in (*PROTOCOLS, FRAMEWISE) if name in summary},
        per_video=_read_per_video(folder / PER_VIDEO),
        per_phase=_read_per_phase(folder / PER_PHASE),
        phases=tuple(summary["phases"]),
        num_videos=summary["num_videos"],
        num_frames=summary["num_frames"],
        fps=config["fps"],
        absent=config["absent"],
    )


def _read_per_video(path: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    values: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in pq.read_table(path).to_pylist():
        values.setdefault(row["protocol"], {}).setdefault(row["metric"], {})[row["video"]] = row["value"]
    return values


def _read_per_phase(path: Path) -> dict[str, dict[str, float | None]]:
    values: dict[str, dict[str, list[float]]] = {}
    for row in pq.read_table(path, filters=[("protocol", "=", "strict")]).to_pylist():
        defined = values.setdefault(row["metric"], {}).setdefault(row["phase"], [])
        if row["value"] is not None:
            defined.append(row["value"])
    return {
        metric: {phase: statistics.fmean(defined) if defined else None for phase, defined in phases.items()}
        for metric, phases in values.items()
    }


def read_curves(stage: Stage | None, store: Store) -> dict[str, dict[int, float]]:
    """The curves of a stage by metric and epoch; none where it is not finished or leaves none."""
    folder = None if stage is None else store.find(key(stage))
    if folder is None or not (folder / HISTORY).exists():
        return {}
    curves: dict[str, dict[int, float]] = {}
    for row in pq.read_table(folder / HISTORY).to_pylist():
        if row["value"] is not None:
            curves.setdefault(row["metric"], {})[row["epoch"]] = row["value"]
    return curves


def _read_predictions(path: Path) -> dict[str, Predictions]:
    table = pq.read_table(path, columns=["video", "truth", "prediction"])
    video = np.array(table["video"].to_pylist())
    truth, prediction = table["truth"].to_numpy(), table["prediction"].to_numpy()
    return {
        str(name): Predictions(truth=truth[video == name], prediction=prediction[video == name])
        for name in sorted(set(video.tolist()))
    }
