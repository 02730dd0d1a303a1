"""The broker where stages are released, stopped or killed; as in `test_broker`."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil

from study.core.graph import key
from study.core.manifest import LOG
from study.core.store import Store
from study.execution.events import Interrupted
from study.execution.ray.messages import StageOutcome
from tests.study.execution.ray.broker_driver import PATIENCE_SECONDS, Driver, wait_until
from tests.study.steps import Gang, Step, epochs, process_of, table


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
