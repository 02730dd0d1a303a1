"""Driver processes to kill, and the conditions that hold after that."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from study.core.manifest import LOG, MANIFEST
from tests.study.execution.ray.ray_program import TEACHER_EPOCHS
from tests.study.steps import epochs, table

PATIENCE_SECONDS = 180
FOLLOWER = ("TrialFollower", "ResourceTrainable")  # waiting, and at work: Ray names its method by Tune's wrapper
WORKERS = ("Broker", *FOLLOWER, "compute_stage", "RayTrainWorker", "TrainController")
KILLED_AFTER = 2  # epochs of the teacher
ONCE = dict.fromkeys(("data", "student0", "student1", *(f"final{i}" for i in range(6))), (1, 1))


class Program:
    """A driver process; one in the background ignores SIGINT at first, as what a shell script starts there does."""

    def __init__(
        self,
        folder: Path,
        plan: str = "shared",
        address: str | None = None,
        home: str = "home",
        in_background: bool = False,
    ) -> None:
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
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN if in_background else signal.SIG_DFL),
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


def artifacts(home: Path) -> dict[str, dict[str, bytes]]:
    """Every artifact's files, but for what tells when and where it was made."""
    folders = (home / "artifacts").iterdir()
    return {f.name: {p.name: p.read_bytes() for p in f.iterdir() if p.name not in (LOG, MANIFEST)} for f in folders}


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


def assert_resumed(diary: Path, times: int = 1) -> None:
    """All other stages ran once; the teacher went on where it was, but for the epochs that were cut short."""
    counts = table(diary)
    teacher = counts.pop("teacher")
    assert counts == ONCE
    assert teacher == (1 + times, 1)
    done = epochs(diary, "teacher")
    assert [epoch for epoch in done if epoch <= KILLED_AFTER] == list(range(1, KILLED_AFTER + 1))
    assert done[-1] == TEACHER_EPOCHS
