"""Drivers that start Ray themselves: killed or interrupted, they leave no process, and the same command goes on."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from study.core.graph import key
from study.core.manifest import LOG
from tests.study.execution.ray.programs import (
    KILLED_AFTER,
    PATIENCE_SECONDS,
    assert_resumed,
    until,
)
from tests.study.execution.ray.ray_program import EXIT_INTERRUPTED, PLANS
from tests.study.steps import process_of

pytestmark = [pytest.mark.ray, pytest.mark.kills]


@pytest.fixture(scope="module")
def agents() -> Iterator[list[psutil.Process]]:
    """Processes of Ray that try for a minute to reach a cluster that was killed; this module takes longer."""
    found: list[psutil.Process] = []
    yield found
    assert psutil.wait_procs(found, timeout=PATIENCE_SECONDS)[1] == []


def test_a_killed_driver_leaves_nothing_and_the_same_command_goes_on(start, undisturbed, agents):
    program = start("slow")
    process_of(program.diary, "teacher", KILLED_AFTER)
    family = psutil.Process(program.process.pid).children(recursive=True)
    agents += [process for process in family if "Agent" in process.name()]
    program.process.kill()
    program.process.wait()
    assert psutil.wait_procs(set(family) - set(agents), timeout=PATIENCE_SECONDS)[1] == []
    again = start("shared")
    assert again.wait() == 0, again.said
    assert "teacher resumed" in again.said
    assert "data" not in again.said
    assert_resumed(program.diary)
    assert again.artifacts() == undisturbed


def test_ctrl_c_stops_in_order_leaves_nothing_and_the_same_command_goes_on(start, undisturbed):
    program = start()
    process_of(program.diary, "teacher", KILLED_AFTER)
    family = psutil.Process(program.process.pid).children(recursive=True)
    os.killpg(program.process.pid, signal.SIGINT)  # as a terminal does
    assert program.wait() == EXIT_INTERRUPTED, program.said
    assert [process for process in family if process.is_running()] == []
    assert "Traceback" not in program.said
    again = start()
    assert again.wait() == 0, again.said
    assert_resumed(program.diary)
    assert again.artifacts() == undisturbed


def test_an_interrupt_reaches_the_workers_of_a_gang_that_a_script_has_started_in_the_background(start, tmp_path):
    program = start("training", in_background=True)
    (stage,) = PLANS["training"](tmp_path)
    unfinished = program.home / "unfinished" / key(stage)
    until((unfinished / "checkpoint.pt").exists, "no checkpoint")
    program.process.terminate()
    assert program.wait() == EXIT_INTERRUPTED, program.said
    # Written by what was interrupted; what does not stop by itself is killed, and writes nothing.
    assert "KeyboardInterrupt" in (unfinished / LOG).read_text()


def test_a_second_ctrl_c_does_not_wait_for_the_stages_and_leaves_nothing_either(start):
    program = start("stubborn")
    process_of(program.diary, "stubborn", 1)
    family = psutil.Process(program.process.pid).children(recursive=True)
    os.killpg(program.process.pid, signal.SIGINT)
    until(lambda: "interrupted stubborn" in program.diary.read_text(), "the stage was not interrupted")
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.wait() == EXIT_INTERRUPTED, program.said
    assert [process for process in family if process.is_running()] == []
