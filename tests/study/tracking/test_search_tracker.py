from pathlib import Path

import pytest
from mlflow.entities import Run

from study import Trial
from study.core.plan import Plan
from study.core.store import Store
from study.home.request import Request
from study.search.in_process import search_locally
from study.search.loop import SearchLoop
from study.search.observer import SearchObserver
from study.search.tracker import SearchContext, SearchTracker, as_study
from tests.study.search.stub_search import SEARCH, Conditions, open_study
from tests.study.small_study import CONTEXT
from tests.study.tracking.tracked import PATIENCE_SECONDS, client_of
from trainers.stage import Resources


class StatusObserver(SearchObserver):
    """Records the status of a search's own run in MLflow when a trial begins, and raises an error there if given."""

    def __init__(self, observer: SearchTracker, home: Path, error: type[BaseException] | None = None) -> None:
        self._observer, self._home, self._error = observer, home, error
        self.statuses: list[str] = []

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        assert self._observer._sender.finish(PATIENCE_SECONDS)
        self.statuses.append(search_run(self._home).info.status)
        if self._error is not None:
            raise self._error


def search_run(home: Path) -> Run:
    """A search's own run."""
    client = client_of(home)
    experiment = client.get_experiment_by_name("search-stub")
    assert experiment is not None
    [run] = [r for r in client.search_runs([experiment.experiment_id]) if r.data.tags.get("freelunch.trial", "") == ""]
    return run


def searched(home: Path, num_trials: int, error: type[BaseException] | None = None) -> list[str]:
    """Searches with a tracker; the statuses of the search's own run whenever a trial begins."""
    store, space = Store(home), SEARCH.bind(Conditions())
    with open_study(home, space) as memory:
        observer = SearchTracker(
            optuna_study=memory,
            context=SearchContext.of(as_study(SEARCH), Request(study="search-stub", scale="demo"), CONTEXT),
            store=store,
            uri=None,
        )
        with observer:
            watching = StatusObserver(observer, home, error)
            loop = SearchLoop(
                space=space, store=store, optuna_study=memory, num_trials=num_trials, observers=(observer, watching)
            )
            search_locally(loop, store, lambda stage: Resources(), observer)
    return watching.statuses


def test_a_search_that_goes_on_runs_again_and_ends_again(home: Path):
    with pytest.raises(KeyboardInterrupt):
        searched(home, 1, KeyboardInterrupt)
    assert search_run(home).info.status == "KILLED"
    assert searched(home, 2) == ["RUNNING", "RUNNING"]
    first = search_run(home).info
    assert first.status == "FINISHED"
    assert searched(home, 3) == ["RUNNING"]
    extended = search_run(home).info
    assert (extended.run_id, extended.status) == (first.run_id, "FINISHED")
    assert extended.end_time > first.end_time


def test_a_search_with_nothing_to_compute_stays_ended(home: Path):
    searched(home, 1)
    ended = search_run(home).info.end_time
    assert searched(home, 1) == []
    assert (search_run(home).info.status, search_run(home).info.end_time) == ("FINISHED", ended)
