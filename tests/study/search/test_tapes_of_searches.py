"""A search records a tape with its first trial, and removes it when it is over, early stopping or not."""

import copy
from pathlib import Path

import pytest

from study.core.graph import key
from study.core.plan import Plan
from study.core.store import Store
from study.core.study import Trial
from study.core.tapes import TapeChoice
from study.search.observer import SearchObserver
from tests.study.search.stub_search import Data, Student, searched, states
from trainers.stage import Stage

TAPE = Data(name="tape")


@pytest.fixture(autouse=True)
def _tapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every student could replay one and the same tape."""

    def replaying(stage: Student, tape: Stage) -> Student:
        taking = copy.copy(stage)
        vars(taking)["tape"] = tape
        return taking

    monkeypatch.setattr(Student, "tapes", lambda stage: {"embeddings": TAPE})
    monkeypatch.setattr(Student, "replaying", replaying)
    monkeypatch.setattr(Student, "aids", lambda stage: {"tape": vars(stage)["tape"]} if "tape" in vars(stage) else {})


class Listener(SearchObserver):
    def __init__(self, store: Store) -> None:
        self.store = store
        self.recorded: list[tuple[bool, bool]] = []

    def trial_began(self, trial: Trial, plan: Plan, again: bool) -> None:
        self.recorded.append((self.store.find(key(TAPE)) is not None, key(TAPE) in plan.tapes))


def test_all_trials_replay_what_the_first_has_recorded_and_the_end_removes_it(tmp_path: Path):
    listener = Listener(Store(tmp_path))
    choice = TapeChoice(kinds="embeddings", limit_bytes=1e9, for_one=True)
    loop, trials = searched(tmp_path, 6, observers=(listener,), tapes=choice)
    assert listener.recorded == [(False, True)] + [(True, True)] * 5
    assert "PRUNED" in states(trials)
    assert listener.store.find(key(TAPE))
    loop.remove_tapes()
    assert listener.store.find(key(TAPE)) is None


def test_a_search_that_is_not_asked_for_a_kind_records_nothing(tmp_path: Path):
    listener = Listener(Store(tmp_path))
    searched(tmp_path, 2, observers=(listener,))
    assert listener.recorded == [(False, False)] * 2
