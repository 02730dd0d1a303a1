"""A Slurm of two nodes on this machine: Debian's munged, slurmctld, and a slurmd for each node."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.shared import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PATIENCE_SECONDS = 60
CPUS_PER_NODE = 2
NODES = ("one", "two")
HEAD = """ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobRequeue=1
"""


class Slurm:
    """The running Slurm."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment

    def submit(self, *arguments: str) -> str:
        """Queues a job, and returns its number."""
        output = str(self._folder / "job-%j.txt")
        return self.said("sbatch", "--parsable", f"--output={output}", *arguments).strip()

    def state(self, job: str) -> str:
        """The state of a job, in Slurm's word."""
        return self.field(job, "JobState")

    def field(self, job: str, name: str) -> str:
        """A field of what Slurm knows of a job."""
        fields = dict(word.partition("=")[::2] for word in self.said("scontrol", "show", "job", job).split())
        return fields[name]

    def output(self, job: str) -> str:
        """What a job has printed so far."""
        path = self._folder / f"job-{job}.txt"
        return path.read_text() if path.exists() else ""

    def said(self, *command: str) -> str:
        """What a command of Slurm's prints."""
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout


@contextmanager
def slurm_of_two_nodes(folder: Path, environment: dict[str, str]) -> Iterator[Slurm]:
    """Starts Slurm, and ends all of it; jobs get this environment."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {missing[0]}: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("slurmctld and slurmd are started as root")
    whole = {**environment, "SLURM_CONF": str(_configured(folder))}
    commands = [_munged(folder), ["slurmctld", "-D"], *(["slurmd", "-D", "-N", node] for node in NODES)]
    processes = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.txt").open("ab") as said:
                processes.append(subprocess.Popen(command, env=whole, stdout=said, stderr=said))
            if command[0] == "munged":
                _until((folder / "munge.sock").exists, "munged does not listen")
        slurm = Slurm(folder, whole)
        _until(lambda: _idle(slurm) == len(NODES), "the nodes of Slurm are not idle")
        yield slurm
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _configured(folder: Path) -> Path:
    """The file of its configuration; what it needs lies beside it."""
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    lines = [
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs={CPUS_PER_NODE}"
        for node in NODES
    ]
    shared = f"PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP"
    path = folder / "slurm.conf"
    path.write_text(HEAD.format(host=host, port=free_port(), folder=folder) + "\n".join([*lines, shared, ""]))
    return path


def _munged(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    paths = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={folder / f'munge.{ending}'}" for option, ending in paths.items()]
    return ["munged", "--foreground", "--force", *options]


def _idle(slurm: Slurm) -> int:
    try:
        return len(slurm.said("sinfo", "--noheader", "--Node", "--states=idle").splitlines())
    except subprocess.CalledProcessError:
        return 0


def _until(holds: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
