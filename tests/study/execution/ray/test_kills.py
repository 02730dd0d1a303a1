"""What is killed goes on: real drivers on real Ray, in which one process after the other gets SIGKILL."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from study.core.graph import key, walk
from study.core.manifest import LOG, MANIFEST
from study.core.plan import make_plan
from study.core.store import Store
from study.core.study import standalone
from study.execution.events import Observer
from study.execution.local import run as run_locally
from tests.study.execution.ray.ray_program import EXIT_INTERRUPTED, PLANS, TEACHER_EPOCHS, TRAINING_EPOCHS
from tests.study.steps import epochs, process_of, table
from tests.trainers.tiny import assert_same_state
from trainers.artifacts.history import read_history
from trainers.ssl.encoders import read_weights
from trainers.stage import Resources

pytestmark = [pytest.mark.ray, pytest.mark.kills]

PATIENCE_SECONDS = 180
FOLLOWER = ("TrialFollower", "ResourceTrainable")  # waiting, and at work: Ray names its method by Tune's wrapper
WORKERS = ("Broker", *FOLLOWER, "compute_stage", "RayTrainWorker", "TrainController")
KILLED_AFTER = 2  # epochs of the teacher
ONCE = dict.fromkeys(("data", "student0", "student1", *(f"final{i}" for i in range(6))), (1, 1))


def hear_interrupts() -> None:
    """A test that is started in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Program:
    """A driver process."""

    def __init__(self, folder: Path, plan: str = "shared", address: str | None = None, home: str = "home") -> None:
        self.home, self.diary = folder / home, folder / "diary"
        command = [sys.executable, "-m", "tests.study.execution.ray.ray_program", plan, self.home, self.diary]
        self._said = folder / f"said-{time.time_ns()}"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [*command, address] if address else command,
                stdout=said,
                stderr=said,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
                start_new_session=True,
                preexec_fn=hear_interrupts,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait(self) -> int:
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the driver hangs: {self.said}") from None

    def artifacts(self) -> dict[str, dict[str, bytes]]:
        return artifacts(self.home)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs in this test's folder; none outlives it."""
    programs: list[Program] = []

    def start(*arguments: Any, **options: Any) -> Program:
        programs.append(Program(tmp_path, *arguments, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.wait()


def artifacts(home: Path) -> dict[str, dict[str, bytes]]:
    """Every artifact's files, but for what tells when and where it was made."""
    folders = (home / "artifacts").iterdir()
    return {f.name: {p.name: p.read_bytes() for p in f.iterdir() if p.name not in (LOG, MANIFEST)} for f in folders}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What the shared plan makes where nothing is killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Store(folder / "home")
    plan = make_plan(standalone(PLANS["shared"](folder / "diary")), store)
    run_locally(plan, store, lambda stage: Resources(), Observer())
    return artifacts(store.home)


def processes_named(*names: str) -> list[psutil.Process]:
    """The Ray workers below this process whose titles begin with one of the names."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "".join(process.cmdline()[:1]).startswith(tuple(f"ray::{name}" for name in names)):
                found.append(process)
    return found


def one_named(*names: str) -> psutil.Process:
    """The first Ray worker with that title, once there is one."""
    return until(lambda: processes_named(*names), f"no process {names}")[0]


def until(condition: Callable[[], Any], otherwise: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
    return value


def assert_nothing_is_at_work() -> None:
    """Only Ray's own processes, and workers that wait for work, are left of a driver that has joined a cluster."""

    until(lambda: not processes_named(*WORKERS), "processes are left behind")


def assert_resumed(diary: Path) -> None:
    """All other stages ran once; the teacher went on where it was, but for the epoch that was cut short."""
    counts = table(diary)
    teacher = counts.pop("teacher")
    assert counts == ONCE
    assert teacher == (2, 1)
    done = epochs(diary, "teacher")
    assert [epoch for epoch in done if epoch <= KILLED_AFTER] == list(range(1, KILLED_AFTER + 1))
    assert done[-1] == TEACHER_EPOCHS


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


def test_a_second_ctrl_c_does_not_wait_for_the_stages_and_leaves_nothing_either(start):
    program = start("stubborn")
    process_of(program.diary, "stubborn", 1)
    family = psutil.Process(program.process.pid).children(recursive=True)
    os.killpg(program.process.pid, signal.SIGINT)
    until(lambda: "interrupted stubborn" in program.diary.read_text(), "the stage was not interrupted")
    os.killpg(program.process.pid, signal.SIGINT)
    assert program.wait() == EXIT_INTERRUPTED, program.said
    assert [process for process in family if process.is_running()] == []


def test_a_killed_trial_is_followed_again_and_its_stages_run_on(start, cluster, undisturbed):
    program = start(address=cluster.address)
    process_of(program.diary, "teacher", KILLED_AFTER)
    victim = one_named(*FOLLOWER)
    victim.kill()
    others = {process.pid for process in processes_named(*FOLLOWER)}
    until(lambda: {p.pid for p in processes_named(*FOLLOWER)} - others - {victim.pid}, "no follower came back")
    assert program.wait() == 0, program.said
    assert table(program.diary) == ONCE | {"teacher": (1, 1)}
    assert program.artifacts() == undisturbed
    assert_nothing_is_at_work()


def test_a_killed_broker_comes_back_and_is_told_everything_again(start, cluster, undisturbed):
    program = start(address=cluster.address)
    process_of(program.diary, "teacher", KILLED_AFTER)
    one_named("Broker").kill()
    assert program.wait() == 0, program.said
    assert "teacher interrupted: the broker was lost" in program.said
    assert "teacher resumed" in program.said
    assert_resumed(program.diary)
    assert program.artifacts() == undisturbed
    assert_nothing_is_at_work()


def test_a_killed_process_of_a_stage_is_replaced_and_goes_on_from_the_checkpoint(start, cluster, undisturbed):
    program = start(address=cluster.address)
    os.kill(process_of(program.diary, "teacher", KILLED_AFTER), signal.SIGKILL)
    assert program.wait() == 0, program.said
    assert "teacher interrupted" in program.said
    assert "teacher resumed" in program.said
    assert_resumed(program.diary)
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
    # If it was the node that the driver is connected to, the broker went with it.
    assert re.search("teacher interrupted: (its node died|the broker was lost)", program.said)
    assert "teacher resumed" in program.said
    assert_resumed(program.diary)
    assert program.artifacts() == undisturbed
    assert_nothing_is_at_work()


def node_process(node: Any) -> int:
    """The process id of a node's raylet."""
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def test_a_killed_worker_of_a_gang_lets_all_start_anew_from_the_checkpoint(start, tmp_path, cluster):
    undisturbed = start("training", cluster.address, "undisturbed")
    assert undisturbed.wait() == 0, undisturbed.said
    (stage,) = PLANS["training"](tmp_path)
    killed = start("training", cluster.address, "killed")
    checkpoint = Store(killed.home).home / "unfinished" / key(stage) / "checkpoint.pt"
    until(checkpoint.exists, "no checkpoint")
    victims = processes_named("RayTrainWorker")
    assert len(victims) == 2
    victims[-1].kill()
    assert killed.wait() == 0, killed.said
    ours, theirs = (Store(program.home).check(key(stage)) for program in (killed, undisturbed))
    assert "resumed after epoch" in (ours / LOG).read_text()
    assert_same_state(read_weights(ours), read_weights(theirs))
    assert read_history(ours) == read_history(theirs)
    assert len(read_history(ours)["loss"]) == TRAINING_EPOCHS
    assert_nothing_is_at_work()


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
