import subprocess
import sys

import psutil
import pytest

PROGRAM = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from trainers.runtime.processes import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=end_with_parent) as pool:
        print(*pool.map(abs, [-1, -2]), flush=True)  # the pool has begun
        time.sleep(600)
"""
PATIENCE_SECONDS = 120


@pytest.mark.kills
def test_processes_of_a_pool_end_when_the_process_that_started_them_is_killed():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"1 2\n"
        family = psutil.Process(program.pid).children(recursive=True)
        assert family
        program.kill()
        assert psutil.wait_procs(family, timeout=PATIENCE_SECONDS)[1] == []
