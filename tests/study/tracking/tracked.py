"""Studies that are computed here and tracked in an MLflow of their own."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
from mlflow.entities import Run

from study import Study, Trial
from study.core.plan import make_plan
from study.core.store import Store
from study.execution.events import Outcome
from study.execution.local import run
from study.home.request import Request
from study.tracking.connection import Outage
from study.tracking.journal import spool_folder
from study.tracking.run_context import RunContext
from study.tracking.tracker import Tracker
from study.tracking.uri import default_uri
from tests.study.small_study import CONTEXT, STUDY
from trainers.stage import Resources

REQUEST = Request(study="tiny", scale="demo")
PATIENCE_SECONDS = 120


def trials_of(*rows: str, study: Study = STUDY, **settings: object) -> tuple[Trial, ...]:
    return study.trials(3, only=rows, settings=settings)


def tracker(
    home: Path,
    trials: tuple[Trial, ...],
    *,
    uri: str | None = None,
    study: Study = STUDY,
    request: Request = REQUEST,
    is_alone: bool = True,
    outage: Outage | None = None,
) -> Tracker:
    store = Store(home)
    return Tracker(
        context=RunContext.of(study, request, CONTEXT),
        trials=trials,
        plan=make_plan(trials, store),
        store=store,
        uri=uri,
        is_alone=is_alone,
        outage=outage,
    )


def follow(home: Path, trials: tuple[Trial, ...], *, uri: str | None = None, study: Study = STUDY) -> None:
    """Runs a study with its tracker, as the command line does but for the report."""
    with tracker(home, trials, uri=uri, study=study) as observer:
        compute(home, trials, observer)


def compute(home: Path, trials: tuple[Trial, ...], observer: Tracker) -> Outcome:
    """Computes what is missing of trials."""
    store = Store(home)
    return run(make_plan(trials, store), store, lambda stage: Resources(), observer)


def until(condition: Callable[[], object], otherwise: str) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def client_of(home: Path, uri: str | None = None) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(uri or default_uri(home))


def runs_of(home: Path, uri: str | None = None) -> dict[str, Run]:
    """The runs by name; no two have one."""
    client = client_of(home, uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {str(run.info.run_name): run for run in runs}


def points(home: Path, run: Run, uri: str | None = None) -> Counter[tuple[str, int]]:
    """How often each point of a run was logged: metric and step."""
    client = client_of(home, uri)
    return Counter((m, p.step) for m in run.data.metrics for p in client.get_metric_history(run.info.run_id, m))


def curves_of(uri: str) -> dict[str, tuple[str, list[tuple[str, int, int]]]]:
    """All runs of an MLflow: status, and by metric its number of points, and of steps; none is running."""
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    found = {str(each.info.run_name): (each.info.status, _curves(client, each)) for each in runs}
    assert "RUNNING" not in {status for status, _ in found.values()}
    return found


def _curves(client: mlflow.MlflowClient, run_: Run) -> list[tuple[str, int, int]]:
    points = {metric: client.get_metric_history(run_.info.run_id, metric) for metric in run_.data.metrics}
    return sorted((metric, len(found), len({point.step for point in found})) for metric, found in points.items())


def statuses(home: Path, uri: str | None = None) -> dict[str, str]:
    return {name: run.info.status for name, run in runs_of(home, uri).items()}


def left_running(home: Path, *rows: str, settings: dict[str, str] | None = None) -> None:
    """Leaves a home as a driver does that is killed while these trials run."""
    settings = settings or {}
    open_ones = tracker(home, trials_of(*rows, **settings), request=replace(REQUEST, settings=settings))
    open_ones.__enter__()
    assert open_ones._sender.finish(PATIENCE_SECONDS)
    open_ones._close()


def forget_what_was_sent(home: Path) -> None:
    """Leaves a home as a driver does that is killed before it has noted what it sent."""
    for path in spool_folder(home).rglob("sent.json"):
        parts = {uri: {**part, "offset": 0} for uri, part in json.loads(path.read_text()).items()}
        path.write_text(json.dumps(parts))
