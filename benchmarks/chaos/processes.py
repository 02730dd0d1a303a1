"""Processes of a chaos run, found by a variable in their environment, which all of them inherit."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil

MARKER = "FREELUNCH_CHAOS"
END_SECONDS = 60
FAMILIES = {
    "broker": ("ray::Broker",),
    "follower": ("ray::TrialFollower", "ray::ResourceTrainable"),
    "stage": ("ray::compute_stage",),
    "train worker": ("ray::RayTrainWorker",),
}
"""Titles that Ray gives to the processes of its actors and tasks."""
PROGRAMS = {"gcs": "gcs_server", "raylet": "raylet", "dashboard": "dashboard/dashboard.py"}


def marked(mark: str) -> Iterator[psutil.Process]:
    """The living processes of a chaos run, but for this one."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARKER) == mark and is_alive(process):
                yield process


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def victims(mark: str, kind: str) -> list[psutil.Process]:
    """The processes of a kind: one of `FAMILIES`, or one of `PROGRAMS`."""
    return sorted((p for p in marked(mark) if _is(p, kind)), key=lambda process: process.pid)


def end_all(mark: str) -> list[str]:
    """Kills what is left of a chaos run, and returns what that was."""
    left = list(marked(mark))
    said = [described(process) for process in left]
    for process in left:
        kill(process)
    psutil.wait_procs(left, timeout=END_SECONDS)
    return said


def kill(process: psutil.Process) -> None:
    """Kills a process, as a machine does: it is not asked."""
    with suppress(psutil.Error):
        process.send_signal(signal.SIGKILL)


def described(process: psutil.Process) -> str:
    """A process in a few words, for the log."""
    with suppress(psutil.Error):
        return f"process {process.pid}: {' '.join(process.cmdline())[:120]}"
    return f"process {process.pid}"


def _is(process: psutil.Process, kind: str) -> bool:
    with suppress(psutil.Error):
        command = process.cmdline()
        if kind in FAMILIES:
            return "".join(command[:1]).startswith(FAMILIES[kind])
        return any(part.endswith(f"/{PROGRAMS[kind]}") for part in command[:3])
    return False
