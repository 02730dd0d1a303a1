"""Checks at the end of a round: what was left behind, what was computed twice, what broke on the way."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.chaos.processes import described, marked, victims
from benchmarks.chaos.workload import Command
from study.core.manifest import MANIFEST
from study.home.files import is_locked
from study.tracking.leftovers import leftovers

END_SECONDS = 60.0
LOOK_SECONDS = 0.2


class Publications:
    """Watch over a home's artifacts: none may be published twice, changed, or removed."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "artifacts"
        self._seen: dict[str, tuple[int, int]] = {}
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="publications", daemon=True)
        self.problems: list[str] = []

    def __enter__(self) -> "Publications":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._gone.set()
        self._thread.join()

    @property
    def number(self) -> int:
        """How many stages are published."""
        return len(self._seen)

    def _watch(self) -> None:
        while not self._gone.wait(LOOK_SECONDS):
            found = dict(self._published())
            for key, identity in found.items():
                if self._seen.setdefault(key, identity) != identity:
                    self.problems.append(f"stage {key} was published twice")
                    self._seen[key] = identity
            self.problems += [f"stage {key} was removed" for key in self._seen.keys() - found.keys()]
            self._seen = {key: self._seen[key] for key in found}

    def _published(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Every artifact's manifest: its inode and time, which another publication would change."""
        for path in self._folder.glob(f"*/{MANIFEST}"):
            status = path.stat()
            yield path.parent.name, (status.st_ino, status.st_mtime_ns)


def left_in_home(home: Path, tracking_uri: str, num_stopped: int) -> Iterator[str]:
    """Sentences on everything that a home should not hold once all its commands have ended.

    Args:
        home: the home folder.
        tracking_uri: of the MLflow that has its runs.
        num_stopped: how many trials were stopped early: each may leave the folder of the stage that was at work.
    """
    for name in ("unfinished", "removed", "drivers", "ray"):
        folder = home / name
        left = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        if len(left) > (num_stopped if name == "unfinished" else 0):
            yield f"{len(left)} left in {name}/: {', '.join(left[:4])}"
    held = [path.name for path in (home / "locks").iterdir() if is_locked(path)]
    if held:
        yield f"{len(held)} locks are held: {', '.join(held[:4])}"
    parts = [str(path.relative_to(home)) for path in home.rglob("*.part*")]
    if parts:
        yield f"{len(parts)} files are half written: {', '.join(parts[:4])}"
    unsent = list(leftovers(home, tracking_uri))
    if unsent:
        yield f"{len(unsent)} journals were not sent whole"


def left_in_temporary(folder: Path) -> Iterator[str]:
    """A sentence on what is left in a temporary folder."""
    left = sorted(str(path.relative_to(folder)) for path in [*folder.glob("[!r]*"), *folder.glob("ray/session_2*")])
    if left:
        yield f"{len(left)} left in TMPDIR: {', '.join(left[:6])}"


def processes_left(mark: str, kinds: Sequence[str]) -> list[str]:
    """The processes, of some kinds or all, that are still there some time after all commands have ended."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        left = [process for kind in kinds for process in victims(mark, kind)] if kinds else list(marked(mark))
        if not left or time.monotonic() > deadline:
            return [f"{described(process)} did not end" for process in left]
        time.sleep(LOOK_SECONDS)


def tracebacks(commands: list[Command]) -> list[str]:
    """The commands that printed tracebacks."""
    return [f"{each.name} printed {each.tracebacks} tracebacks, in {each.said}" for each in commands if each.tracebacks]
