"""deploy/slurm.sbatch on a Slurm of two nodes on this machine: one node, two nodes, two jobs at once, and a requeue."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from study.core.store import Store
from tests.deploy.slurm_machine import Slurm, slurm_of_two_nodes
from tests.study import tiny_cli
from tests.study.tiny_home import ASKED, copy_of

pytestmark = [pytest.mark.services]

REPOSITORY = Path(__file__).parents[2]
SCRIPT = str(REPOSITORY / "deploy" / "slurm.sbatch")
PATIENCE_SECONDS = 400
STUDY = ("run", "table3", "--row", "majority", "--row", "public", *ASKED, "--no-mlflow", "--threads", "1")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    programs = tmp_path_factory.mktemp("bin")
    command = programs / "freelunch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {tiny_cli.__file__} "$@"\n')
    command.chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
    environment = {**kept, "PATH": path, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    with slurm_of_two_nodes(tmp_path_factory.mktemp("slurm"), environment) as slurm:
        yield slurm


def until(holds: Callable[[], object], slurm: Slurm, job: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, slurm.output(job)
        time.sleep(0.2)


def ended_well(slurm: Slurm, job: str) -> str:
    """What a job printed that is completed, and left no process and no folder."""
    until(lambda: slurm.state(job) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"), slurm, job)
    said = slurm.output(job)
    assert slurm.state(job) == "COMPLETED", said
    assert not Path(f"/tmp/fl-{job}").exists()
    assert [p for p in psutil.process_iter(["cmdline"]) if f"/tmp/fl-{job}/" in " ".join(p.info["cmdline"] or [])] == []
    return said


def address(said: str) -> str:
    found = re.search(r"the Ray cluster at (\S+),", said)
    assert found is not None, said
    return found[1]


def test_a_study_runs_on_two_nodes_and_leaves_nothing(slurm: Slurm, tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    said = ended_well(slurm, slurm.submit("--nodes=2", "--cpus-per-task=1", SCRIPT, "--home", str(home), *STUDY))
    assert "with 2 CPUs on 2 nodes" in said
    assert f"report: {home}" in said


def test_jobs_on_one_node_at_the_same_time_do_not_meet(slurm: Slurm, tiny_home: Path, tmp_path: Path):
    homes = [copy_of(tiny_home, tmp_path / name) for name in ("first", "second")]
    where = ("--nodelist=one", "--cpus-per-task=1")
    jobs = [slurm.submit(*where, SCRIPT, "--home", str(home), *STUDY) for home in homes]
    until(lambda: {slurm.state(job) for job in jobs} == {"RUNNING"}, slurm, jobs[0])
    addresses = {address(ended_well(slurm, job)) for job in jobs}
    assert len(addresses) == len(jobs)
    assert len({frozenset(Store(home).stage_keys()) for home in homes}) == 1


def test_a_job_whose_time_is_nearly_over_is_queued_again_and_goes_on(slurm: Slurm, tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    longer = ("--set", "student_epochs=300")
    study = ("run", "table3", "--row", "none", *longer, *ASKED, "--no-mlflow", "--threads", "1")
    job = slurm.submit("--cpus-per-task=1", SCRIPT, "--home", str(home), *study)
    until(lambda: re.search(r"Pretrain DistilledMoCo \w{8} .*starts", slurm.output(job)), slurm, job)  # no note
    slurm.said("scancel", "--batch", "--signal=USR1", job)  # as `--signal=B:USR1@180` does
    until(lambda: slurm.field(job, "Restarts") == "1", slurm, job)
    assert "interrupted; nothing is lost" in slurm.output(job)
    until(lambda: slurm.state(job) in ("PENDING", "CONFIGURING", "RUNNING"), slurm, job)
    if slurm.state(job) == "PENDING":  # for two minutes, unless it is told otherwise
        slurm.said("scontrol", "update", f"JobId={job}", "StartTime=now")
    until(lambda: "goes on where it was interrupted" in slurm.output(job), slurm, job)
    until(lambda: slurm.state(job) == "COMPLETED", slurm, job)
    said = ended_well(slurm, job)
    assert f"report: {home}" in said


def test_a_job_without_a_command_says_what_to_type(slurm: Slurm):
    job = slurm.submit(SCRIPT)
    until(lambda: slurm.state(job) == "FAILED", slurm, job)
    assert slurm.field(job, "ExitCode") == "2:0"
    assert "error: name a command of freelunch" in slurm.output(job)
