import os
import subprocess
import sys
from dataclasses import replace

from trainers.runtime import worker_channel
from trainers.runtime.machine import cpu_name
from trainers.stage import EpochEnd, Progress

WORKER = """
import sys, time
from pathlib import Path
from trainers.runtime import worker_channel
with worker_channel.while_wanted(Path(sys.argv[1])):
    print("at work", flush=True)
    time.sleep(600)
"""


def test_reports_of_the_first_worker_and_the_lines_of_all_are_handed_on_once(tmp_path, capsys):
    heard = []
    relayed = worker_channel.Relay(tmp_path, 2, heard.append)
    relayed.catch_up()
    with worker_channel.output_to(tmp_path, 1):
        print("printed")
        os.write(2, b"by a library\n")
        sys.stderr.write("broken o")
        sys.stderr.flush()
    reports = [Progress(fraction=0.5, epoch=3, data_wait=0.1), EpochEnd(number=3, metrics={"loss": 0.5})]
    for report in reports:
        worker_channel.reporter(tmp_path)(report)
    relayed.catch_up()
    relayed.catch_up()
    assert heard == [replace(reports[0], device=cpu_name()), reports[1]]
    assert capsys.readouterr().out == "[worker 1] printed\n[worker 1] by a library\n"
    relayed.print_output(to_its_end=True)
    assert capsys.readouterr().out == "[worker 1] broken o\n"


def test_what_is_written_afterwards_goes_where_it_went_before(tmp_path, capfd):
    with worker_channel.output_to(tmp_path, 0):
        print("within")
    print("after")
    os.write(1, b"all\n")
    assert capfd.readouterr().out == "after\nall\n"


def test_a_worker_ends_by_itself_when_nobody_wants_it_any_more(tmp_path):
    worker_channel.want(tmp_path)
    program = [sys.executable, "-c", WORKER, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "at work\n"
        worker_channel.unwant(tmp_path)
        assert worker.wait(timeout=120) == worker_channel.UNWANTED
