"""Tapes are removed when the stages that replay them are finished, and not before."""

from pathlib import Path

import pytest

from study.core.graph import key
from study.core.plan import Plan
from study.core.store import Store
from study.core.tape_marks import FOLDER, TapeMarks
from tests.study.core.test_tapes import plan_of, publish


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def compute(store: Store, plan: Plan, *, last: int | None = None) -> None:
    for stage_key in plan.missing[:last]:
        publish(store, plan.stages[stage_key])


def test_a_tape_stays_until_the_last_stage_that_replays_it(store: Store):
    marks, plan = TapeMarks(store), plan_of(store, "auto")
    (tape,) = plan.tapes
    marks.mark(plan)
    compute(store, plan, last=-1)
    marks.remove_used()
    assert store.find(tape)
    publish(store, plan.stages[plan.missing[-1]])
    marks.remove_used()
    assert store.find(tape) is None
    assert [path.name for path in (store.home / FOLDER).iterdir()] == [".lock"]


def test_a_tape_that_two_commands_replay_stays_for_the_second(store: Store):
    marks = TapeMarks(store)
    first, second = plan_of(store, "auto"), plan_of(store, "auto", weights=(3, 4, 5))
    assert first.tapes == second.tapes
    for plan in (second, first):
        marks.mark(plan)
    compute(store, first)
    marks.remove_used()
    assert store.find(*first.tapes)
    marks.remove_used(second.missing)
    assert not store.find(*first.tapes)


def test_a_tape_of_a_stage_at_work_stays(store: Store):
    marks, plan = TapeMarks(store), plan_of(store, "auto")
    marks.mark(plan)
    compute(store, plan, last=-1)
    with store.claim(plan.missing[-1]):
        marks.remove_used(plan.missing)
        assert store.find(*plan.tapes)
    marks.remove_used(plan.missing)
    assert not store.find(*plan.tapes)


def test_a_tape_that_is_not_finished_goes_too_unless_it_is_recorded_now(store: Store):
    marks, plan = TapeMarks(store), plan_of(store, "auto")
    (tape,) = plan.tapes
    marks.mark(plan)
    with store.claim(tape):
        for stage_key in plan.missing:
            if stage_key != tape:
                publish(store, plan.stages[stage_key])
        marks.remove_used()
        assert store.unfinished(tape)
    marks.remove_used()
    assert store.unfinished(tape) is None
    assert key(plan.stages[tape]) == tape
