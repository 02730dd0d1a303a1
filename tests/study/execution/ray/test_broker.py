"""The broker on the shared cluster, of two CPUs; its stages are stubs that write a diary."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from study.core.graph import key
from study.core.manifest import LOG
from study.core.store import Store
from study.execution.events import (
    ANOTHER_PROCESS,
    Blocked,
    DiskFull,
    EpochEnded,
    Failed,
    Failure,
    Interrupted,
    Waiting,
)
from study.execution.ray.messages import StageOutcome
from study.execution.resources import Profile
from tests.study.execution.ray.broker_driver import (
    PATIENCE_SECONDS,
    Driver,
    once,
    six_trials,
    start_second_driver,
    wait_until,
)
from tests.study.steps import Gang, Step, epochs, lines, process_of, table
from trainers.stage import Resources

Start = Callable[[], Driver]


@pytest.fixture(scope="module")
def ray(cluster: Any) -> Iterator[Any]:
    """Ray in this process, which has joined the cluster."""
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture
def start(ray: Any, home: Path) -> Iterator[Start]:
    """Starts a driver's broker on the test's home."""
    drivers: list[Driver] = []

    def start() -> Driver:
        drivers.append(Driver(ray, home))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.get("stop")
    # Its workers go back before it is killed: Ray may lose the CPU of one that is leased to it just then.
    assert wait_until(lambda: ray.available_resources().get("CPU") == 2), ray.available_resources()
    for driver in drivers:
        ray.kill(driver.broker)


@pytest.fixture
def driver(start: Start) -> Driver:
    return start()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


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


def test_a_stage_whose_process_is_killed_goes_on_from_its_checkpoint(driver: Driver, diary: Path):
    first = Step(name="first", diary=diary)
    long = Step(name="long", needs=(first,), epochs=6, epoch_seconds=0.15, diary=diary)
    driver.submit(long)
    os.kill(process_of(diary, "long", 2), signal.SIGKILL)
    assert driver.outcome(long).status == "computed"
    assert table(diary) == {"first": (1, 1), "long": (2, 1)}
    assert [epochs(diary, "long").count(epoch) for epoch in (1, 2, 6)] == [1, 1, 1]
    story = [line for line in driver.story() if line.startswith("long")]
    assert story == ["long started", "long interrupted", "long resumed", "long finished"]
    assert driver.hears("long", Interrupted).reason == "its process was killed or crashed"


def test_a_process_that_always_dies_fails_its_stage_after_four_times(driver: Driver, diary: Path):
    fatal = Step(name="fatal", epochs=0, does="die", diary=diary)
    driver.submit(fatal)
    outcome = driver.outcome(fatal)
    assert outcome.status == "failed"
    assert outcome.failure is not None
    assert outcome.failure.sentence == "its process died 4 times, at last: its process was killed or crashed"
    assert table(diary) == {"fatal": (4, 0)}
    assert [line for line in driver.story() if "started" not in line and "resumed" not in line] == [
        *["fatal interrupted"] * 3,
        "fatal failed",
    ]


def test_a_killed_broker_is_taught_again_and_repeats_nothing_finished(driver: Driver, diary: Path):
    first = Step(name="first", diary=diary)
    long = Step(name="long", needs=(first,), epochs=8, epoch_seconds=0.15, diary=diary)
    driver.submit(long)
    before = driver.incarnation
    worker = psutil.Process(process_of(diary, "long", 2))
    os.kill(driver.get("__ray_call__", lambda broker: os.getpid()), signal.SIGKILL)
    assert driver.outcome(long) == StageOutcome(status="computed")
    driver.listen()
    assert driver.incarnation != before
    assert table(diary) == {"first": (1, 1), "long": (2, 1)}
    assert [epochs(diary, "long").count(epoch) for epoch in (1, 2, 8)] == [1, 1, 1]
    assert wait_until(lambda: not worker.is_running())  # Ray ends what a dead broker had started
    assert [line for line in driver.story() if line.startswith("long")] == ["long resumed", "long finished"]


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


def test_what_its_last_asker_releases_is_cancelled_and_goes_on_for_the_next(driver: Driver, home: Path, diary: Path):
    teacher = Step(name="teacher", epochs=40, epoch_seconds=0.1, diary=diary)
    students = [Step(name=f"student{i}", needs=(teacher,), diary=diary) for i in range(2)]
    for i in range(2):
        driver.submit(students[i], asker=f"trial {i}")
    process_of(diary, "teacher", 1)
    driver.get("release", "trial 0", [key(teacher), key(students[0])])
    assert driver.get("wait", key(students[0]), 1.0).status == "unknown"
    assert driver.get("wait", key(teacher), 0.5) is None
    driver.get("release", "trial 1", [key(teacher), key(students[1])])
    store = Store(home)
    assert wait_until(lambda: not store.is_claimed(key(teacher)))
    folder = store.unfinished(key(teacher))
    assert folder is not None
    assert (folder / "checkpoint").exists()
    assert driver.get("wait", key(teacher), 1.0).status == "unknown"
    (folder / "checkpoint").write_text("39")
    driver.submit(students[0], asker="trial 2")
    assert driver.outcome(students[0]).status == "computed"
    assert table(diary) == {"student0": (1, 1), "teacher": (2, 1)}
    assert "teacher resumed" in driver.story()


def test_stopping_interrupts_what_runs_and_answers_every_wait(driver: Driver, home: Path, diary: Path):
    long = [Step(name=f"long{i}", epochs=100, epoch_seconds=0.1, diary=diary) for i in range(3)]
    last = Step(name="last", needs=tuple(long), diary=diary)
    driver.submit(last)
    for stage in long[:2]:
        process_of(diary, stage.name, 1)
    wait = driver.broker.wait.remote(key(last), float(PATIENCE_SECONDS))
    driver.get("stop")
    store = Store(home)
    assert not any(store.is_claimed(key(stage)) for stage in long)
    assert table(diary) == {"long0": (1, 0), "long1": (1, 0)}
    assert driver._ray.get(wait, timeout=PATIENCE_SECONDS) == StageOutcome(status="stopped")
    assert driver.statuses(*long) == ["stopped"] * 3
    driver.submit(Step(name="later", diary=diary))
    assert driver.statuses(Step(name="later")) == ["stopped"]
    folder = store.unfinished(key(long[0]))
    assert folder is not None
    assert "KeyboardInterrupt" in (folder / LOG).read_text()


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


def test_a_finished_stage_is_found_without_a_task(start: Start, diary: Path):
    stage = Step(name="stage", diary=diary)
    first = start()
    first.submit(stage)
    assert first.statuses(stage) == ["computed"]
    second = start()
    second.submit(stage)
    assert second.statuses(stage) == ["found"]
    assert second.story() == ["stage found"]
    assert table(diary) == once("stage")


def test_stopping_a_gang_gives_back_its_workers(ray: Any, driver: Driver, home: Path, diary: Path):
    gang = Gang(name="gang", epochs=100, epoch_seconds=0.1, diary=diary)
    driver.submit(gang)
    process_of(diary, "gang", 1)
    driver.get("stop")
    assert driver.statuses(gang) == ["stopped"]
    assert not Store(home).is_claimed(key(gang))
    assert wait_until(lambda: ray.available_resources().get("CPU") == 2)
    assert table(diary) == {"gang": (1, 0)}


def test_what_the_workers_of_a_killed_run_held_is_given_back(ray: Any, driver: Driver, diary: Path):
    @ray.remote(num_cpus=0)
    class Controller:
        def hold(self) -> int:
            from ray.util import placement_group

            assert placement_group([{"CPU": 1}, {"CPU": 1}]).wait(PATIENCE_SECONDS)
            return os.getpid()

    controller = Controller.remote()
    process = ray.get(controller.hold.remote())
    gang = Gang(name="gang", diary=diary)
    driver.submit(gang)
    assert driver.get("wait", key(gang), 3.0) is None
    os.kill(process, signal.SIGKILL)
    assert driver.outcome(gang).status == "computed"
