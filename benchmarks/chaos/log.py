"""Log of a chaos run: one line per fault, restart and finding, printed and kept as JSON lines."""

import json
import threading
import time
from pathlib import Path


class ChaosLog:
    """Log that the threads of a chaos run share.

    Args:
        path: the file of JSON lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self.entries: list[dict[str, object]] = []

    @property
    def seconds(self) -> float:
        """Seconds since the log was begun."""
        return time.monotonic() - self._begun

    def note(self, kind: str, what: str, **values: object) -> None:
        """Notes something: `kind` is `fault`, `restart`, `operator`, `round` or `problem`."""
        entry = {"seconds": round(self.seconds, 1), "kind": kind, "what": what, **values}
        with self._lock:
            self.entries.append(entry)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            print(f"{entry['seconds']:8.1f}  {kind:9} {what}", flush=True)

    def of_kind(self, kind: str) -> list[dict[str, object]]:
        """The entries of a kind, in their order."""
        with self._lock:
            return [entry for entry in self.entries if entry["kind"] == kind]
