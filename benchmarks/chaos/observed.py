"""Observed results of a home: numbers, artifacts, trials of the search, and MLflow's runs, without times and places."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from study.core.manifest import LOG
from study.core.store import Store
from study.search.optuna_study import KEY

VOLATILE = {"date", "command", "host", "home", "seconds", "started", "finished", "hours", "speed", "versions"}
"""Fields of results that tell of a run, not of its outcome."""
VOLATILE_METRICS = ("data_wait", "seconds", "per_second", "speed", "gpu", "memory")
ENDS = ("Evaluate", "Video")
"""Types of stages that studies and ingest runs end with."""

Curves = Mapping[str, tuple[tuple[int, float], ...]]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a workload left.

    Attributes:
        results: every `results.json`, by its path in the home.
        artifacts: the digests of the files of every stage that something finished needs, by key: a stage of a trial
            that was stopped early may or may not have ended in time.
        trials: those of the search.
        runs: MLflow's, by experiment and name: how often there is one, its status, and its points.
    """

    results: Mapping[str, Any]
    artifacts: Mapping[str, Mapping[str, str]]
    trials: tuple[Any, ...]
    runs: Mapping[tuple[str, str], tuple[tuple[str, Curves], ...]]

    @property
    def num_stopped(self) -> int:
        """How many trials of the search were stopped early."""
        return sum(state == "PRUNED" for _, state, *_ in self.trials)


def observe(home: Path, tracking_uri: str) -> Observed:
    """Observes a home and the MLflow that its runs were sent to."""
    return Observed(
        results={
            str(path.relative_to(home)): _lasting(json.loads(path.read_text()))
            for path in sorted((home / "studies").rglob("results.json"))
        },
        artifacts=_artifacts(home),
        trials=tuple(_trials(home)),
        runs=_runs(tracking_uri),
    )


def differences(reference: Observed, observed: Observed) -> list[str]:
    """Sentences on everything that is not as in the reference."""
    found = _of_mappings("results", reference.results, observed.results)
    found += _of_mappings("artifact", reference.artifacts, observed.artifacts)
    stopped = tuple(f"trial {number}," for number, state, *_ in reference.trials if state == "PRUNED")
    if reference.trials != observed.trials:
        pairs = zip(reference.trials, observed.trials, strict=False)
        first = next((f"{ours} instead of {wanted}" for wanted, ours in pairs if wanted != ours), "their number")
        found.append(f"trials of the search differ: {first}")
    for run in sorted(reference.runs.keys() | observed.runs.keys()):
        is_stopped = bool(stopped) and run[1].startswith(stopped)
        found += _of_runs(run, reference.runs.get(run, ()), observed.runs.get(run, ()), is_stopped)
    return found


def _artifacts(home: Path) -> dict[str, dict[str, str]]:
    manifests = {manifest.key: manifest for manifest in Store(home).manifests()}
    needed: set[str] = set()
    waiting = [manifest.key for manifest in manifests.values() if manifest.stage in ENDS]
    waiting += [trial.user_attrs[KEY] for trial in _optuna_trials(home) if trial.state == TrialState.COMPLETE]
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += manifests[key].inputs.values() if key in manifests else []
    return {
        key: {name: digest for name, (_, digest) in manifests[key].files.items() if name != LOG}
        for key in needed & manifests.keys()
    }


def _lasting(value: Any) -> Any:
    """A JSON value without its volatile fields."""
    if isinstance(value, dict):
        return {name: _lasting(each) for name, each in value.items() if name not in VOLATILE}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def _optuna_trials(home: Path) -> Iterator[FrozenTrial]:
    if (home / "optuna.db").exists():
        storage = f"sqlite:///{home / 'optuna.db'}"
        for summary in optuna.get_all_study_summaries(storage):
            yield from optuna.load_study(study_name=summary.study_name, storage=storage).trials


def _trials(home: Path) -> Iterator[Any]:
    """A search's trials, but for times."""
    for trial in _optuna_trials(home):
        yield trial.number, trial.state.name, trial.values, trial.params, trial.intermediate_values


def _runs(uri: str) -> dict[tuple[str, str], tuple[tuple[str, Curves], ...]]:
    client = mlflow.MlflowClient(tracking_uri=uri)
    found: dict[tuple[str, str], list[tuple[str, Curves]]] = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=1000):
            entry = (str(run.info.status), _curves(client, run))
            found.setdefault((experiment.name, str(run.info.run_name)), []).append(entry)
    return {name: tuple(sorted(runs, key=repr)) for name, runs in found.items()}


def _curves(client: mlflow.MlflowClient, run: Run) -> Curves:
    """The points of a run's metrics, but for speeds and the like."""
    names = [name for name in run.data.metrics if not any(word in name for word in VOLATILE_METRICS)]
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in sorted(names)}
    return {name: tuple(sorted((point.step, point.value) for point in points)) for name, points in histories.items()}


def _of_mappings(what: str, reference: Mapping[str, Any], observed: Mapping[str, Any]) -> list[str]:
    found = [f"{what} {name} is missing" for name in sorted(reference.keys() - observed.keys())]
    found += [f"{what} {name} is one too many" for name in sorted(observed.keys() - reference.keys())]
    both = sorted(reference.keys() & observed.keys())
    return found + [f"{what} {name} differs" for name in both if reference[name] != observed[name]]


def _of_runs(
    name: tuple[str, str],
    reference: tuple[tuple[str, Curves], ...],
    observed: tuple[tuple[str, Curves], ...],
    is_stopped: bool,
) -> list[str]:
    """Differences of runs of one name; one that was stopped early may have got further, or less far."""
    where = f"MLflow's run {'/'.join(name)}"
    if len(reference) != len(observed):
        return [f"{where} is there {len(observed)} times instead of {len(reference)}"]
    found = []
    for (wanted_status, wanted), (status, curves) in zip(reference, observed, strict=True):
        if status != wanted_status:
            found.append(f"{where} is {status}, not {wanted_status}")
        for metric in sorted(wanted.keys() | curves.keys()):
            points = curves.get(metric, ())
            found += _of_points(
                f"{where}, {metric}", tuple(set(points)) if is_stopped else wanted.get(metric, ()), points
            )
    return found


def _of_points(
    where: str, reference: tuple[tuple[int, float], ...], observed: tuple[tuple[int, float], ...]
) -> list[str]:
    missing, more = Counter(reference) - Counter(observed), Counter(observed) - Counter(reference)
    if not missing and not more:
        return []
    return [f"{where}: {missing.total()} points are missing, {more.total()} are too many"]
