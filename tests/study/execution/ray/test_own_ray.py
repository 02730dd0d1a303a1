"""Drivers that start Ray themselves: killed or interrupted, they leave no process, and the same command goes on."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from study.core.graph import key
from study.core.manifest import LOG
from study.core.store import Store
from tests.study.execution.ray.programs import (
    KILLED_AFTER,
    PATIENCE_SECONDS,
    assert_resumed,
    processes_named,
    until,
)
from tests.study.execution.ray.ray_program import EXIT_INTERRUPTED, PLANS
from tests.study.execution.ray.training_plan import EPOCHS
from tests.study.steps import epochs, process_of
from tests.trainers.tiny import assert_same_state
from tests.trainers.two_processes import train_in_two_processes
from trainers.artifacts.history import read_history
from trainers.ssl.encoders import read_weights

pytestmark = [pytest.mark.ray, pytest.mark.kills]


@pytest.fixture(scope="module")
def agents() -> Iterator[list[psutil.Process]]:
    """Processes of Ray that try for a minute to reach a cluster that was killed; this module takes longer."""
    found: list[psutil.Process] = []
    yield found
    assert psutil.wait_procs(found, timeout=PATIENCE_SECONDS)[1] == []


def test_a_killed_driver_and_ctrl_c_leave_nothing_and_the_same_command_goes_on(start, cluster, undisturbed, agents):
    killed = start("slow")
    process_of(killed.diary, "teacher", KILLED_AFTER)
    family = psutil.Process(killed.process.pid).children(recursive=True)
    agents += [process for process in family if "Agent" in process.name()]
    killed.process.kill()
    killed.process.wait()
    assert psutil.wait_procs(set(family) - set(agents), timeout=PATIENCE_SECONDS)[1] == []

    before = len(epochs(killed.diary, "teacher"))
    interrupted = start("slow")
    until(lambda: len(epochs(interrupted.diary, "teacher")) > before, "the teacher does not go on")
    family = psutil.Process(interrupted.process.pid).children(recursive=True)
    os.killpg(interrupted.process.pid, signal.SIGINT)  # as a terminal does
    assert interrupted.wait() == EXIT_INTERRUPTED, interrupted.said
    assert [process for process in family if process.is_running()] == []
    assert "Traceback" not in interrupted.said
    assert "teacher resumed" in interrupted.said
    assert "data" not in interrupted.said

    again = start("shared", cluster.address)  # on one that is there, as another start would show nothing more
    assert again.wait() == 0, again.said
    assert "teacher resumed" in again.said
    assert_resumed(again.diary, times=2)
    assert again.artifacts() == undisturbed


def test_a_gang_in_the_background_starts_again_where_a_worker_is_killed_and_stops_when_interrupted(start, tmp_path):
    program = start("training", in_background=True)
    (stage,) = PLANS["training"](tmp_path)
    unfinished = program.home / "unfinished" / key(stage)
    until((unfinished / "checkpoint.pt").exists, "no checkpoint")
    victims = processes_named("RayTrainWorker")
    assert len(victims) == 2
    victims[-1].kill()
    until(lambda: "resumed after epoch" in (unfinished / LOG).read_text(), "the workers did not start again")
    program.process.terminate()
    assert program.wait() == EXIT_INTERRUPTED, program.said
    # Written by what was interrupted; what does not stop by itself is killed, and writes nothing.
    assert "KeyboardInterrupt" in (unfinished / LOG).read_text()

    (recording,) = stage.frames
    inputs = {"frames.0": Store(program.home).check(key(recording))}
    train_in_two_processes(stage.hurried(), inputs, unfinished)
    train_in_two_processes(stage.hurried(), inputs, tmp_path / "undisturbed")
    assert_same_state(read_weights(unfinished), read_weights(tmp_path / "undisturbed"))
    assert read_history(unfinished) == read_history(tmp_path / "undisturbed")
    assert len(read_history(unfinished)["loss"]) == EPOCHS


def test_a_second_ctrl_c_does_not_wait_for_the_stages_and_leaves_nothing_either(start):
    program = start("stubborn")
    process_of(program.diary, "stubborn", 1)
    family = psutil.Process(program.process.pid).children(recursive=True)
    os.killpg(program.process.pid, signal.SIGINT)
    until(lambda: "interrupted stubborn" in program.diary.read_text(), "the stage was not interrupted")
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.wait() == EXIT_INTERRUPTED, program.said
    assert [process for process in family if process.is_running()] == []
