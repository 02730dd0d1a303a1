"""Results of a study, read from its trials' artifacts: scores, curves, and why some are missing."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from study.analysis.fold_tests import FoldRun, Run
from study.analysis.pooled_scores import mean_curves, pooled_scores
from study.core.folds import fold_of, pooled_rows, pooled_study
from study.core.graph import describe, key, walk
from study.core.rows import Row
from study.core.store import Store
from study.core.study import Study, Trial
from trainers.artifacts.evaluation import STRICT, Scores, read_scores
from trainers.artifacts.history import FILE_NAME as HISTORY
from trainers.artifacts.history import PRETRAINING, Curves, read_history
from trainers.names import Fold
from trainers.stage import Stage

NOT_COMPUTED = "not computed yet"


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial; `scores` is None where `problem` says why."""

    trial: Trial
    scores: Scores | None
    problem: str
    curves: Mapping[str, Curves]
    """Curves by the name that their stages declare (`Stage.curves`), without those that other trials start from."""
    folds: "Mapping[Fold, TrialResult]" = field(default_factory=dict)
    """Of a pool of fold rows: the trial of every fold at one seed; `trial` is then the first of them."""


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
        means = [entry["mean"] for entry in distinct if entry["mean"] is not None]
        stds = [entry["std"] for entry in distinct if entry["std"] is not None]
        return RowScore(
            mean=statistics.fmean(means),
            std=statistics.fmean(stds) if stds else None,
            over=distinct[0]["over"],
            seed_std=statistics.stdev(means) if len(means) > 1 else None,
            by_seed=by_seed,
        )

    def values(self, metric: str) -> dict[int, Mapping[str, float | None]]:
        """The strict per-video values of a metric: seed -> video -> value."""
        return {seed: scores.per_video[STRICT][metric] for seed, scores in self.scored.items()}

    def runs(self, metric: str, protocol: str = STRICT) -> dict[Run, Mapping[str, float | None]]:
        """The per-video values of a metric by seed, or of a pool by seed and fold: run -> video -> value.

        A fold that another drawing of the same seed has, too, as may be where videos are few, counts once.
        """
        found: dict[Run, Mapping[str, float | None]] = {}
        for result in self.trials:
            parts: Mapping[Run, TrialResult] = {FoldRun(result.trial.seed, f): each for f, each in result.folds.items()}
            once = {key(part.trial.stage): run for run, part in reversed([*parts.items()])}
            for run, part in (parts or {result.trial.seed: result}).items():
                if part.scores is not None and (not parts or once[key(part.trial.stage)] == run):
                    found[run] = part.scores.per_video[protocol][metric]
        return found

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The folds that this row is the pool of; none where it is no pool."""
        return tuple(sorted({fold for result in self.trials for fold in result.folds}))

    def fold_accuracies(self) -> dict[Fold, float]:
        """Strict accuracy of every computed fold, the mean over seeds."""
        found: dict[Fold, list[float]] = {}
        for result in self.trials:
            for fold, each in result.folds.items():
                entry = each.scores.summary[STRICT]["accuracy"] if each.scores else None
                if entry is not None and entry["mean"] is not None:
                    found.setdefault(fold, []).append(entry["mean"])
        return {fold: statistics.fmean(values) for fold, values in sorted(found.items())}

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
        found = [result.curves.get(of, {}) for result in self.trials]
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
        """The number of seeds of any computed trial."""
        return len({result.trial.seed for row in self.rows for result in row.trials})


def read_results(study: Study, trials: Sequence[Trial], store: Store, problems: Mapping[int, str]) -> Results:
    """Reads what is there; a trial without its artifact keeps its line, with the sentence that says why.

    Rows that differ in the fold alone are one row, and the trials of its folds at a seed are one result.
    """
    starting_points = starting_points_of(trials)
    shown = pooled_rows(study.all_rows())
    by_row: dict[str, tuple[Row, list[TrialResult]]] = {}
    for trial in trials:
        row = shown.get(trial.row.name, trial.row)
        by_row.setdefault(row.name, (row, []))[1].append(read_trial(trial, store, problems, starting_points))
    rows = [
        RowResult(row, tuple(results if row == results[0].trial.row else _pooled(results, store)))
        for row, results in by_row.values()
    ]
    return Results(study=pooled_study(study), rows=tuple(sorted(rows, key=lambda result: result.row.baseline)))


def _pooled(results: Sequence[TrialResult], store: Store) -> list[TrialResult]:
    """The trials of a pool's folds, as one result per seed."""
    by_seed: dict[int, dict[Fold, TrialResult]] = {}
    for result in results:
        fold = fold_of(result.trial.row)
        assert fold is not None, "a pool is made of folds"
        by_seed.setdefault(result.trial.seed, {})[fold] = result
    return [_one_result(dict(sorted(folds.items())), store) for folds in by_seed.values()]


def _one_result(folds: Mapping[Fold, TrialResult], store: Store) -> TrialResult:
    missing = {fold: result.problem for fold, result in folds.items() if result.problem}
    scored = {fold: (r.scores, key(r.trial.stage)) for fold, r in folds.items() if r.scores is not None}
    return TrialResult(
        trial=folds[next(iter(scored or folds))].trial,
        scores=pooled_scores(scored, store) if scored else None,
        problem="; ".join(f"{fold}: {problem}" for fold, problem in missing.items()),
        curves={
            name: mean_curves([result.curves[name] for result in folds.values() if result.curves.get(name)])
            for name in dict.fromkeys(name for result in folds.values() for name in result.curves)
        },
        folds=folds,
    )


def phase_title(name: str) -> str:
    """CalotTriangleDissection as a reader would write it."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).replace("_", " ").strip()


def read_trial(trial: Trial, store: Store, problems: Mapping[int, str], starting_points: frozenset[str]) -> TrialResult:
    """Reads the artifacts of a trial.

    Args:
        trial: the trial.
        store: where its artifacts are.
        problems: why trials have no result, by their number.
        starting_points: keys of stages that other trials start from (`starting_points_of`): their curves are left out.

    Raises:
        InputError: an artifact is damaged.
    """
    stage_key = key(trial.stage)
    found = store.find(stage_key) is not None
    stages = curve_stages(trial)
    return TrialResult(
        trial=trial,
        scores=read_scores(store.check(stage_key), describe(trial.stage)) if found else None,
        problem="" if found else problems.get(trial.number, NOT_COMPUTED),
        curves={name: read_curves(stage, store) for name, stage in stages.items() if key(stage) not in starting_points},
    )


def starting_points_of(trials: Sequence[Trial]) -> frozenset[str]:
    """Keys of the stages with curves that a later stage with curves of this name goes on from, in some trial.

    For pre-training these are free weights and teachers.
    """
    keys: set[str] = set()
    for trial in trials:
        last = {key(stage) for stage in curve_stages(trial).values()}
        keys.update(k for k, stage in walk(trial.stage).items() if stage.curves and k not in last)
    return frozenset(keys)


def curve_stages(trial: Trial) -> dict[str, Stage]:
    """The last stage of a trial for every name of curves."""
    return {stage.curves: stage for stage in walk(trial.stage).values() if stage.curves}


def read_curves(stage: Stage, store: Store) -> Curves:
    """Reads the curves of a stage; none where it is not finished or leaves none."""
    stage_key = key(stage)
    return read_history(store.check(stage_key, only=HISTORY)) if store.find(stage_key) else {}
