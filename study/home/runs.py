"""Registry of the processes that run studies in a home: `status` lists them, and `stop` ends them.

Layout below the home folder:

    drivers/<id>.json           study, command, host, process id; locked by that process while it lives
    drivers/<id>.stop           asks that process to stop, on any host
"""

import json
import os
import platform
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from study.home.files import is_locked, note_ignored, parse_object, replacing, wait_for_lock
from trainers.records import checked

POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class RunningProcess:
    """A process that runs a study."""

    id: str
    study: str
    command: str
    host: str
    pid: int
    started: str


@contextmanager
def register_run(home: Path, study: str, command: str) -> Iterator[RunningProcess]:
    """Registers this process as running a study; `stop` interrupts it as Ctrl-C does."""
    folder = home / "drivers"
    folder.mkdir(parents=True, exist_ok=True)
    active_runs(home)  # removes the files of those that were killed
    process = RunningProcess(
        id=uuid.uuid4().hex[:12],
        study=study,
        command=command,
        host=platform.node(),
        pid=os.getpid(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path, request = folder / f"{process.id}.json", folder / f"{process.id}.stop"
    gone = threading.Event()
    with ExitStack() as stack:
        with replacing(path) as temporary:
            file = stack.enter_context(temporary.open("w", encoding="utf-8"))
            wait_for_lock(file)  # before others can see it
            json.dump(asdict(process), file)
            file.flush()
        threading.Thread(target=_interrupt_when_asked, args=(request, gone), name="freelunch-stop", daemon=True).start()
        try:
            yield process
        finally:
            gone.set()
            path.unlink(missing_ok=True)
            request.unlink(missing_ok=True)


def active_runs(home: Path, study: str | None = None) -> list[RunningProcess]:
    """The processes that run one study, or any, the oldest first; files of dead processes are removed."""
    found = []
    for path in (home / "drivers").glob("*.json"):
        process = _read(path)
        if process is not None and study in (None, process.study):
            found.append(process)
    return sorted(found, key=lambda process: process.started)


def stop(home: Path, process: RunningProcess, seconds: float) -> bool:
    """Asks a process to stop, and waits for it; returns whether it ended in time."""
    (home / "drivers" / f"{process.id}.stop").touch()
    deadline = time.monotonic() + seconds
    while any(other.id == process.id for other in active_runs(home)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS / 2)
    return True


def _interrupt_when_asked(request: Path, gone: threading.Event) -> None:
    while not gone.wait(POLL_SECONDS):
        if request.exists():
            request.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGINT)
            return


def _read(path: Path) -> RunningProcess | None:
    """The process of a file, or None where it is dead: then its files are removed."""
    with suppress(OSError):  # it may just have ended
        if is_locked(path):
            return _running(path, path.read_bytes())
        path.unlink(missing_ok=True)
        path.with_suffix(".stop").unlink(missing_ok=True)
    return None


def _running(path: Path, content: bytes) -> RunningProcess | None:
    """The living process that a file names, or None, with a note, where the file is damaged."""
    with suppress(ValueError, TypeError):
        process = checked(RunningProcess(**parse_object(content)))
        if process.id == path.stem:
            return process
    note_ignored(path)
    return None
