"""Points of a run whose journal another process holds, handed over to that process in files beside the journal.

Two drivers may share a trial: one holds the journal, and the other computes a stage. Only the second one knows the
stage's speed and the times of its epochs, which no artifact has.

    mlflow/spool/<study>/<request>/<run>/points-<id>.jsonl    locked by its writer while it may grow
"""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from study.home.files import parse_object, try_lock
from study.tracking.journal import Journal, now

PATTERN = "points-*.jsonl"


class HandedOver:
    """Points that this process hands over, by run."""

    def __init__(self) -> None:
        self._files: dict[Path, IO[str]] = {}

    def add(self, folder: Path, values: Mapping[str, float], step: int) -> None:
        """Hands the values at a step over to the process that holds the journal in a folder."""
        if folder not in self._files:
            path = folder / f"points-{uuid.uuid4().hex}.jsonl"
            new = path.with_suffix(".part")
            file = self._files[folder] = new.open("a", encoding="utf-8")
            try_lock(file)
            new.rename(path)  # not before it is locked: it would be taken for one that grows no more
        json.dump({"step": step, "values": dict(values), "time": now()}, self._files[folder])
        self._files[folder].write("\n")
        self._files[folder].flush()

    def close(self) -> None:
        """Ends what is handed over: any process may take the files now."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def is_left(folder: Path) -> bool:
    """Whether something is handed over in a folder that grows no more."""
    for path in folder.glob(PATTERN):
        with suppress(FileNotFoundError), path.open("r+") as file:  # another process may have taken it
            if try_lock(file):
                return True
    return False


def take_over(journal: Journal) -> None:
    """Logs what other processes have handed over for a journal, and removes the files that grow no more."""
    for path in sorted(journal.folder.glob(PATTERN)):
        with path.open("r+", encoding="utf-8", errors="replace") as file:
            is_complete = try_lock(file)
            for line in file:
                _log(journal, line)
        if is_complete:
            path.unlink(missing_ok=True)


def _log(journal: Journal, line: str) -> None:
    """Logs a line's points; half a line, or one that a loss of power has damaged, has none."""
    try:
        entry = parse_object(line)
        step, values, time = int(entry["step"]), entry["values"], int(entry["time"])
        journal.log_metrics({str(name): float(value) for name, value in values.items()}, step, time)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return
