import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.home.interrupts import handle_interrupts
from study.home.runs import active_runs, register_run, stop

PATIENCE_SECONDS = 60
PROGRAM = """
import sys, time
from pathlib import Path
from study.home.interrupts import handle_interrupts
from study.home.runs import register_run
try:
    with handle_interrupts(), register_run(Path(sys.argv[1]), sys.argv[2], f"freelunch run {sys.argv[2]}"):
        print("running", flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def start(home: Path, study: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, home, study], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def test_a_driver_is_known_while_it_lives_and_not_longer(tmp_path: Path):
    assert active_runs(tmp_path) == []
    with register_run(tmp_path, "table3", "freelunch run table3") as driver:
        assert active_runs(tmp_path) == [driver]
        assert active_runs(tmp_path, "table3") == [driver]
        assert active_runs(tmp_path, "table1") == []
    assert active_runs(tmp_path) == []
    assert list((tmp_path / "drivers").iterdir()) == []


def test_a_driver_that_was_killed_is_forgotten(tmp_path: Path):
    process = start(tmp_path, "table3")
    (found,) = active_runs(tmp_path)
    assert (found.pid, found.study, found.command) == (process.pid, "table3", "freelunch run table3")
    process.kill()
    process.communicate()
    assert active_runs(tmp_path) == []
    assert list((tmp_path / "drivers").iterdir()) == []


def test_the_next_run_removes_what_a_killed_driver_left(tmp_path: Path):
    process = start(tmp_path, "table3")
    process.kill()
    process.communicate()
    assert len(list((tmp_path / "drivers").iterdir())) == 1
    with register_run(tmp_path, "table1", "freelunch run table1") as driver:
        assert [path.stem for path in (tmp_path / "drivers").iterdir()] == [driver.id]


def test_stop_interrupts_that_driver_alone(tmp_path: Path):
    first, second = start(tmp_path, "table3"), start(tmp_path, "table1")
    (driver,) = active_runs(tmp_path, "table3")
    assert stop(tmp_path, driver, seconds=PATIENCE_SECONDS)
    assert first.wait(timeout=PATIENCE_SECONDS) == 0
    assert first.communicate()[0] == "interrupted\n"
    assert [other.pid for other in active_runs(tmp_path)] == [second.pid]
    second.kill()
    second.communicate()


def test_a_driver_that_does_not_stop_is_not_waited_for_without_end(tmp_path: Path):
    with register_run(tmp_path, "table3", "freelunch run table3") as driver:
        assert not stop(tmp_path, driver, seconds=0)
        with handle_interrupts(), pytest.raises(KeyboardInterrupt):
            time.sleep(PATIENCE_SECONDS)
