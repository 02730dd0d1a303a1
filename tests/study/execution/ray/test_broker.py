"""The broker on the shared cluster, of two CPUs; its stages are stubs that write a diary."""

from pathlib import Path
from typing import Any, Literal

import pytest

from study.core.graph import key
from study.core.store import Store
from study.execution.events import ANOTHER_PROCESS, Blocked, DiskFull, EpochEnded, Failed, Failure, Waiting
from study.execution.ray.messages import StageOutcome
from study.execution.resources import Profile
from tests.study.execution.ray.broker_driver import PATIENCE_SECONDS, Driver, once, six_trials, start_second_driver
from tests.study.execution.ray.conftest import Start
from tests.study.steps import Gang, Step, lines, table
from trainers.stage import Resources

SIX = once("teacher", "student0", "student1", *(f"trial{i}" for i in range(6)))


def test_stages_run_after_their_inputs_and_the_driver_hears_of_each(driver: Driver, diary: Path):
    top = Step(name="top", epochs=2, diary=diary)
    sides = [Step(name=name, needs=(top,), diary=diary) for name in ("left", "right")]
    last = Step(name="last", needs=tuple(sides), diary=diary)
    driver.submit(last)
    assert driver.outcome(last) == StageOutcome(status="computed")
    words = [" ".join(line[:2]) for line in lines(diary) if line[0] in ("start", "end")]
    assert words[:2] == ["start top", "end top"]
    assert words[-2:] == ["start last", "end last"]
    assert table(diary) == once("top", "left", "right", "last")
    for name in ("top", "left", "right", "last"):
        assert [line for line in driver.story() if line.startswith(name)] == [f"{name} started", f"{name} finished"]
    # Epochs that end within a moment may be heard of in any order.
    assert {event.number for event in driver.heard if isinstance(event, EpochEnded) and event.key == key(top)} == {1, 2}
    assert driver.get("curve", key(top), 1) == {2: {"loss": 0.5}}


def test_what_two_trials_share_is_computed_once_whoever_asks(driver: Driver, diary: Path):
    trials = six_trials(diary)
    for number, trial in enumerate(trials):
        driver.submit(trial, asker=f"trial {number % 2}")
    assert driver.statuses(*trials) == ["computed"] * 6
    assert table(diary) == SIX


def test_two_drivers_on_one_home_compute_every_stage_once(ray: Any, driver: Driver, home: Path, diary: Path):
    address = ray.get_runtime_context().gcs_address
    second = start_second_driver(address, home, diary)
    trials = six_trials(diary)
    driver.submit(*trials)
    statuses = driver.statuses(*trials)
    assert second.wait(PATIENCE_SECONDS) == 0
    print("starts and ends of every stage:", table(diary))
    assert table(diary) == SIX
    assert set(statuses) <= {"computed", "found"}


def test_a_stage_waits_for_what_aids_it_and_does_without_where_that_fails(driver: Driver, diary: Path):
    aids = (Step(name="whole", epoch_seconds=0.3, diary=diary), Step(name="bad", does="raise", diary=diary))
    last = Step(name="last", needs=(Step(name="first", diary=diary),), aided_by=aids, diary=diary)
    driver.submit(last)
    assert driver.outcome(last) == StageOutcome(status="computed")
    assert ["given", "last", "aid0", "needs.0"] in lines(diary)
    words = [" ".join(line[:2]) for line in lines(diary)]
    assert words.index("end whole") < words.index("start last")
    assert table(diary) == once("first", "last", "whole") | {"bad": (1, 0)}


@pytest.mark.parametrize(
    ("does", "sentence", "fault"),
    [("raise", "ValueError: first line", "program"), ("refuse", "the moon is full: wait.", "input")],
)
def test_a_stage_that_raises_fails_alone_and_is_not_tried_again(
    driver: Driver, diary: Path, does: str, sentence: str, fault: Literal["input", "program"]
):
    bad = Step(name="bad", does=does, diary=diary)
    slow = Step(name="slow", epoch_seconds=0.3, diary=diary)
    needing = Step(name="needing", needs=(slow, bad), diary=diary)
    last = Step(name="last", needs=(needing,), diary=diary)
    driver.submit(last, Step(name="other", diary=diary))
    assert driver.statuses(Step(name="other"), slow) == ["computed", "computed"]
    failure = Failure(sentence=sentence, fault=fault, key=key(bad), title="bad")
    assert driver.outcome(last) == StageOutcome(status="blocked", failure=failure)
    driver.submit(bad, asker="later")
    assert driver.outcome(bad) == StageOutcome(status="failed", failure=failure)
    assert table(diary) == once("slow", "other") | {"bad": (1, 0)}
    assert driver.hears("bad", Failed).failure == failure
    assert [event.failure for event in driver.heard if isinstance(event, Blocked)] == [failure, failure]
    assert [line for line in driver.story() if "blocked" in line] == ["needing blocked", "last blocked"]


def test_gangs_and_single_stages_share_two_cpus_without_a_deadlock(driver: Driver, diary: Path):
    def trial(number: int) -> Step:
        shared = Gang(name=f"teacher{number % 2}", diary=diary)
        kind = Gang if number % 4 == 0 else Step
        student = kind(name=f"student{number}", needs=(shared,), epoch_seconds=0.02, diary=diary)
        return Step(name=f"trial{number}", needs=(student,), diary=diary)

    trials = [trial(number) for number in range(16)]
    for number, each in enumerate(trials):
        driver.submit(each, asker=f"trial {number}")
    waits = [driver.broker.wait.remote(key(each), float(PATIENCE_SECONDS)) for each in trials]
    outcomes = driver._ray.get(waits, timeout=PATIENCE_SECONDS)
    assert [outcome.status for outcome in outcomes if outcome] == ["computed"] * 16, outcomes
    names = [f"{kind}{number}" for kind in ("student", "trial") for number in range(16)]
    assert table(diary) == once("teacher0", "teacher1", *names)


def test_a_full_disk_is_told_apart_and_nothing_new_starts(driver: Driver, diary: Path):
    full = Step(name="full", does="fill the disk", diary=diary)
    last = Step(name="last", needs=(full,), diary=diary)
    driver.submit(last)
    outcome = driver.outcome(last)
    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.key, outcome.failure.fault) == ("disk full", key(full), "machine")
    assert "free some space and type the same command again" in outcome.failure.sentence
    assert driver.hears("full", DiskFull).failure == outcome.failure
    later = Step(name="later", diary=diary)
    driver.submit(later)
    assert driver.get("wait", key(later), 0.5) is None
    assert table(diary) == {"full": (1, 0)}


def test_a_stage_that_another_process_computes_is_waited_for_and_found(driver: Driver, home: Path, diary: Path):
    stage = Step(name="claimed", diary=diary)
    store = Store(home)
    with store.claim(key(stage)) as folder:
        driver.submit(stage, Step(name="other", diary=diary))
        assert driver.hears("claimed", Waiting).reason == ANOTHER_PROCESS
        assert driver.outcome(Step(name="other")).status == "computed"
        store.publish(stage, folder, 1.0)
    assert driver.outcome(stage).status == "found"
    assert table(diary) == once("other")
    assert [line for line in driver.story() if line.startswith("claimed")] == ["claimed waiting", "claimed found"]


def test_a_stage_that_no_node_can_hold_says_so_and_the_others_go_on(driver: Driver, diary: Path):
    big, other = Step(name="big", diary=diary), Step(name="other", diary=diary)
    driver.submit(big, asker="big", profile=Profile(default=Resources(threads=8)))
    driver.submit(other)
    assert driver.hears("big", Waiting).reason == "it needs 8 CPUs; the living nodes have 2 CPUs"
    assert driver.outcome(other).status == "computed"
    assert driver.get("wait", key(big), 0.1) is None


def test_a_finished_stage_is_found_without_a_task(start_driver: Start, diary: Path):
    stage = Step(name="stage", diary=diary)
    first = start_driver()
    first.submit(stage)
    assert first.statuses(stage) == ["computed"]
    second = start_driver()
    second.submit(stage)
    assert second.statuses(stage) == ["found"]
    assert second.story() == ["stage found"]
    assert table(diary) == once("stage")
