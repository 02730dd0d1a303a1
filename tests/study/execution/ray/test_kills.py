"""Kills on a cluster that real drivers joined: processes get SIGKILL, one by one, and all work goes on."""

import os
import re
import signal
from typing import Any

import psutil
import pytest

from study.core.graph import walk
from tests.study.execution.ray.programs import (
    FOLLOWER,
    KILLED_AFTER,
    ONCE,
    assert_nothing_is_at_work,
    assert_resumed,
    one_named,
    processes_named,
    until,
)
from tests.study.execution.ray.ray_program import PLANS
from tests.study.steps import epochs, process_of, table

pytestmark = [pytest.mark.ray, pytest.mark.kills]


def test_a_killed_trial_is_followed_again_and_its_stages_run_on(start, cluster, undisturbed):
    program = start(address=cluster.address)
    process_of(program.diary, "teacher", KILLED_AFTER)
    victim = one_named(*FOLLOWER)
    victim.kill()
    others = {process.pid for process in processes_named(*FOLLOWER)}
    until(lambda: {p.pid for p in processes_named(*FOLLOWER)} - others - {victim.pid}, "no follower came back")
    assert program.wait() == 0, program.said
    assert "died: another follows it." in program.said
    assert "Traceback" not in program.said
    assert table(program.diary) == ONCE | {"teacher": (1, 1)}
    assert program.artifacts() == undisturbed
    assert_nothing_is_at_work()


def test_a_killed_process_of_a_stage_and_a_killed_broker_are_replaced_and_all_goes_on_from_the_checkpoint(
    start, cluster, undisturbed
):
    program = start(address=cluster.address)
    broker = one_named("Broker")
    os.kill(process_of(program.diary, "teacher", KILLED_AFTER), signal.SIGKILL)
    before = len(epochs(program.diary, "teacher"))
    until(lambda: len(epochs(program.diary, "teacher")) > before, "the teacher does not go on")
    broker.kill()
    assert program.wait() == 0, program.said
    interrupted = ("its process was killed or crashed", "the broker was lost")
    assert [reason in program.said for reason in interrupted] == [True, True], program.said
    assert program.said.count("teacher interrupted") == program.said.count("teacher resumed") == 2
    assert_resumed(program.diary, times=2)
    assert program.artifacts() == undisturbed
    assert_nothing_is_at_work()


def test_a_stage_of_a_node_that_dies_goes_on_elsewhere(start, cluster, undisturbed):
    nodes = {node_process(node): node for node in [cluster.add_node(num_cpus=3), cluster.add_node(num_cpus=3)]}
    try:
        program = start("on_other_nodes", cluster.address)
        stage = psutil.Process(process_of(program.diary, "teacher", KILLED_AFTER))
        raylet = next(parent.pid for parent in stage.parents() if parent.pid in nodes)
        cluster.remove_node(nodes.pop(raylet), allow_graceful=False)
        assert program.wait() == 0, program.said
    finally:
        for node in nodes.values():
            cluster.remove_node(node)
    # Ray may see the stage's process end before its node; if the driver was connected to it, the broker went with it.
    assert re.search("teacher interrupted: (its node died|its process|the broker was lost)", program.said), program.said
    assert "teacher resumed" in program.said
    assert_resumed(program.diary)
    assert program.artifacts() == undisturbed
    assert_nothing_is_at_work()


def node_process(node: Any) -> int:
    """The process id of a node's raylet."""
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def test_two_drivers_on_one_home_compute_every_stage_once(start, cluster, undisturbed):
    first, second = (start(address=address) for address in (cluster.address, None))
    assert [first.wait(), second.wait()] == [0, 0], first.said
    assert table(first.diary) == ONCE | {"teacher": (1, 1)}
    assert first.artifacts() == undisturbed


def test_gangs_single_stages_and_many_waiting_trials_do_not_block_each_other(start, cluster):
    program = start("mixed", cluster.address)
    assert program.wait() == 0, program.said
    stages = walk(*PLANS["mixed"](program.diary))
    assert table(program.diary) == {stage.title: (1, 1) for stage in stages.values()}
    assert_nothing_is_at_work()
