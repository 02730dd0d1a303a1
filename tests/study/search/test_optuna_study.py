"""Optuna study of a search: its identity, and one storage for several homes."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from study.core.store import Store
from study.execution.events import Observer
from study.home.request import Request
from study.search.home_storage import storage_url
from study.search.in_process import search_locally
from study.search.loop import SearchLoop
from study.search.optuna_study import DRIVER, DUPLICATE, KEY, PROBLEM, OptunaStudy, parameters_of
from study.search.pruner import SuccessiveHalving
from study.search.request import SearchRequest
from study.search.space import Space
from study.search.status import search_record
from tests.study.search.stub_search import EPOCHS, SEARCH, Conditions, open_study, searched
from trainers.stage import InputError, Resources

PATIENCE_SECONDS = 300
REQUEST_FILE = SearchRequest(request=Request(study="stub", scale="demo"), num_trials=4)


@pytest.fixture
def space() -> Space:
    return SEARCH.bind(Conditions())


@pytest.fixture
def homes(tmp_path: Path, space: Space) -> Iterator[tuple[OptunaStudy, OptunaStudy]]:
    """Two drivers that share a storage."""
    with ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(
                OptunaStudy(
                    name=REQUEST_FILE.optuna_name,
                    space=space,
                    seed=0,
                    url=storage_url(tmp_path),
                    driver=driver,
                    halving=SuccessiveHalving(EPOCHS),
                )
            )
            for driver in ("ours", "theirs")
        )
        yield ours, theirs


def before_a_trial_is_added(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Has something happen once, after a point was drawn and before it is added to the storage."""
    add = RDBStorage._create_new_trial

    def act_first(self: RDBStorage, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        monkeypatch.setattr(RDBStorage, "_create_new_trial", add)
        act()
        return add(self, study_id, template_trial)

    monkeypatch.setattr(RDBStorage, "_create_new_trial", act_first)


def search(optuna_study: OptunaStudy, space: Space, home: Path, num_trials: int) -> SearchLoop:
    store = Store(home)
    loop = SearchLoop(space=space, store=store, optuna_study=optuna_study, num_trials=num_trials)
    search_locally(loop, store, lambda stage: Resources(), Observer())
    return loop


def test_of_two_homes_that_draw_one_point_at_the_same_moment_one_draws_again(
    homes: tuple[OptunaStudy, OptunaStudy], monkeypatch: pytest.MonkeyPatch
):
    add, meeting, have_met = RDBStorage._create_new_trial, threading.Barrier(2, timeout=PATIENCE_SECONDS), set[int]()

    def add_together(self: RDBStorage, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        if threading.get_ident() in have_met:
            return add(self, study_id, template_trial)
        have_met.add(threading.get_ident())
        meeting.wait()  # both have drawn
        added = add(self, study_id, template_trial)
        meeting.wait()  # both have added, and neither has read
        return added

    monkeypatch.setattr(RDBStorage, "_create_new_trial", add_together)
    with ThreadPoolExecutor(len(homes)) as threads:
        asked = list(threads.map(OptunaStudy.ask, homes))
    assert sorted(trial.number for trial in asked) == [0, 2]
    assert [trial.user_attrs[DRIVER] for trial in asked] == ["ours", "theirs"]
    assert len({trial.user_attrs[KEY] for trial in asked}) == 2
    duplicate = homes[0].study.get_trials()[1]
    assert (duplicate.state, duplicate.user_attrs[DUPLICATE]) == (TrialState.FAIL, 0)
    assert duplicate.user_attrs[PROBLEM].startswith("a duplicate of trial 0, which another home asked for")
    for optuna_study, trial in zip(homes, asked, strict=True):
        assert [left.number for left in optuna_study.unfinished()] == [trial.number]
        optuna_study.report(trial.number, 1, 40.0)
        optuna_study.complete(trial.number, 50.0 + trial.number)
    assert [(trial.number, trial.value) for trial in homes[0].trials()] == [(0, 50.0), (2, 52.0)]


def test_a_duplicate_is_no_failure_and_takes_no_other_trials_place(
    homes: tuple[OptunaStudy, OptunaStudy], space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ours, theirs = homes
    before_a_trial_is_added(monkeypatch, theirs.ask)
    loop = search(ours, space, tmp_path, num_trials=4)
    assert loop.num_failed == 0
    assert [trial.number for trial in ours.trials()] == [0, 2, 3, 4]
    assert search_record(REQUEST_FILE, tmp_path, ())["states"]["not finished"] == 1
    search(theirs, space, tmp_path, num_trials=4)
    record = search_record(REQUEST_FILE, tmp_path, ())
    assert sum(record["states"].values()) == record["asked"] == 4
    assert "failed" not in record["states"]
    assert not record["resumable"]


def test_a_duplicate_whose_driver_was_killed_before_it_was_set_aside_is_not_gone_on_with(
    homes: tuple[OptunaStudy, OptunaStudy],
):
    ours, theirs = homes
    first = theirs.ask()
    ours.study.add_trial(
        optuna.create_trial(
            state=TrialState.RUNNING,
            params=first.params,
            distributions=first.distributions,
            user_attrs={**first.user_attrs, DRIVER: "ours"},
        )
    )
    assert ours.unfinished() == []
    assert [trial.state for trial in ours.study.get_trials()] == [TrialState.RUNNING, TrialState.FAIL]
    assert [trial.number for trial in theirs.unfinished()] == [first.number]


def test_an_optuna_study_of_another_search_is_refused(tmp_path: Path):
    searched(tmp_path, 1)
    other_axes = replace(SEARCH, axes={"weight": SEARCH.axes["weight"]})
    for what, options in {
        "another seed": {"seed": 1},
        "other axes": {"search": other_axes},
        "other data, or another version": {"conditions": Conditions(batch=16)},
    }.items():
        with pytest.raises(InputError, match=f"the Optuna study 'stub' in sqlite:.*{what}.*--storage"):
            searched(tmp_path, 1, **options)  # type: ignore[arg-type]
    optuna.create_study(study_name="taken", storage=storage_url(tmp_path)).add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(InputError, match=r"'taken' .* searched with something else altogether"):
        open_study(tmp_path, SEARCH.bind(Conditions()), name="taken")


def test_trials_that_another_driver_is_at_are_left_to_it(tmp_path: Path):
    space = SEARCH.bind(Conditions())
    with open_study(tmp_path, space) as ours:
        asked = ours.ask()
        assert [trial.number for trial in ours.unfinished()] == [asked.number]
        theirs = OptunaStudy(name="stub", space=space, seed=0, url=storage_url(tmp_path), driver="another")
        with theirs:
            assert theirs.unfinished() == []
            assert parameters_of(theirs.ask()) != parameters_of(asked)
