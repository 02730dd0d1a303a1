"""What MLflow is to be told, kept on disk first: a journal per run, and the thread that sends journals on.

Layout below the home folder:

    mlflow/spool/<study>/<request>/<run>/journal.jsonl  all that was ever said of the run, in order
                                         sent.json      by tracking URI: the run there, and how much of this it has

The journal is locked by the process that writes and sends it.
"""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from study.home.files import try_lock, write_json

JOURNAL, SENT = "journal.jsonl", "sent.json"
TERMINAL = ("FINISHED", "FAILED", "KILLED")
SEND_EVERY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
TAIL_BYTES = 4096

Entry = dict[str, Any]
"""`kind` (opened, metrics, param, tag, dataset, artifact or status), `time` in milliseconds, and what is said."""


class UnreachableError(Exception):
    """Nothing can be sent now; later perhaps."""


class Journal:
    """All that is said of one run; what has been said before is not said again.

    Attributes:
        folder: where it lies.
        status: the last one said, empty before.
    """

    def __init__(self, folder: Path, file: IO[bytes]) -> None:
        self.folder = folder
        self.status = ""
        self.opening: Entry = {}
        self._file = file
        self._said: dict[tuple[str, ...], object] = {}
        self._lock = threading.Lock()
        self._path = folder / JOURNAL
        self._end = self._path.read_bytes().rfind(b"\n") + 1
        file.truncate(self._end)  # half a line of a process that was killed
        for entry in self._read(0, self._end):
            self._learn(entry)

    @classmethod
    def claim(cls, folder: Path) -> Self | None:
        """The journal in a folder, made where it is missing, or None where another process holds it."""
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / JOURNAL).open("ab")
        if not try_lock(file):
            file.close()
            return None
        return cls(folder, file)

    def close(self) -> None:
        """Leaves the journal to others."""
        self._file.close()

    def open_run(self, opening: Mapping[str, Any]) -> None:
        """Says what run this is: all that it takes to make it, so that any process can send the journal later."""
        if not self.opening:
            self._say({"kind": "opened", **opening})

    def metrics(self, values: Mapping[str, float], step: int, milliseconds: int | None = None) -> None:
        """Says the values at a step that have not been said yet."""
        new = {name: value for name, value in values.items() if ("metric", name, str(step)) not in self._said}
        if new:
            self._say({"kind": "metrics", "step": step, "values": new, "time": milliseconds or now()})

    def params(self, values: Mapping[str, object]) -> None:
        """Says parameters; MLflow never changes one, so neither does this."""
        for name, value in values.items():
            if ("param", name) not in self._said:
                self._say({"kind": "param", "name": name, "value": str(value)})

    def tags(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            if self._said.get(("tag", name)) != value:
                self._say({"kind": "tag", "name": name, "value": value})

    def tag(self, name: str) -> str:
        """A tag as it was last said; empty where it never was."""
        return str(self._said.get(("tag", name), ""))

    def dataset(self, name: str, digest: str, context: str, *, source: str, profile: str) -> None:
        if ("dataset", name, digest, context) not in self._said:
            dataset = {"name": name, "digest": digest, "context": context, "source": source, "profile": profile}
            self._say({"kind": "dataset", **dataset})

    def artifact(self, path: Path) -> None:
        """Says that a file belongs to the run; again where its content has changed. It stays where it is."""
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        if self._said.get(("artifact", path.name)) != digest:
            self._say({"kind": "artifact", "path": str(path), "name": path.name, "digest": digest})

    def set_status(self, status: str, milliseconds: int | None = None) -> None:
        if self.status != status:
            self._say({"kind": "status", "status": status, "time": milliseconds or now()})

    def end(self) -> int:
        """The length in bytes."""
        return self._end

    def unsent(self, uri: str) -> Iterator[tuple[Entry, int]]:
        """The entries that a tracking URI does not have yet, each with the offset behind it."""
        offset = self.sent(uri)["offset"]
        for entry in self._read(offset, self._end):
            yield entry, entry.pop("offset")

    def sent(self, uri: str) -> dict[str, Any]:
        """What a tracking URI has: `run_id`, `offset`, and `adopted` where the run was there before the journal."""
        return _read_sent(self.folder).get(uri) or {"run_id": None, "offset": 0, "adopted": False}

    def mark_sent(self, uri: str, **changes: object) -> None:
        """Remembers what a tracking URI has."""
        states = _read_sent(self.folder)
        state = self.sent(uri) | changes
        if states.get(uri) != state:
            write_json(self.folder / SENT, states | {uri: state})

    def num_unsent(self, uri: str) -> int:
        return sum(1 for _ in self.unsent(uri))

    def _say(self, entry: Entry) -> None:
        entry = {"time": now()} | entry
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            self._end += len(line)
        self._learn(entry)

    def _learn(self, entry: Entry) -> None:
        kind = entry["kind"]
        if kind == "opened":
            self.opening = entry
        elif kind == "metrics":
            self._said.update({("metric", name, str(entry["step"])): None for name in entry["values"]})
        elif kind == "status":
            self.status = entry["status"]
        elif kind == "dataset":
            self._said["dataset", entry["name"], entry["digest"], entry["context"]] = None
        else:
            self._said[kind, entry["name"]] = entry.get("digest", entry.get("value"))

    def _read(self, start: int, end: int) -> Iterator[Entry]:
        with self._path.open("rb") as file:
            file.seek(start)
            while file.tell() < end:
                entry: Entry = json.loads(file.readline())
                yield entry | {"offset": file.tell()}


class Sender:
    """A thread that sends journals on; who writes them never waits for it.

    Args:
        send: sends what a journal has that was not sent; it raises UnreachableError where it should try again later.
        say: hears one sentence when nothing can be sent any more, and one when it can again.
    """

    def __init__(self, send: Callable[[Journal], None], say: Callable[[str], None]) -> None:
        self._send = send
        self._say = say
        self._pending: dict[Journal, None] = {}
        self._once: deque[Callable[[], None]] = deque()
        self._faults_once: set[str] = set()
        self._changed = threading.Condition()
        self._hurried = self._stopped = False
        self._failures = 0
        self._last_success = time.monotonic()
        self.fault = ""
        self._thread = threading.Thread(target=self._run, name="freelunch-mlflow", daemon=True)
        self._thread.start()

    def notice(self, journal: Journal) -> None:
        """A journal has something to send."""
        with self._changed:
            self._pending[journal] = None
            self._changed.notify_all()

    def once(self, send: Callable[[], None]) -> None:
        """Has the thread send something else in a single attempt, once the journals are."""
        with self._changed:
            self._once.append(send)
            self._changed.notify_all()

    def finish(self, patience_seconds: float) -> bool:
        """Waits until everything is sent, or until nothing could be for so long; whether everything is."""
        with self._changed:
            self._hurried, self._failures, self._last_success = True, 0, time.monotonic()
            self._changed.notify_all()
            while (self._pending or self._once) and time.monotonic() < self._last_success + patience_seconds:
                self._changed.wait(0.2)
            return not self._pending

    def stop(self) -> None:
        """Ends the thread, after what it is sending just now."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._once or self._stopped)
                # Lets entries gather, or a server that is away come back.
                self._changed.wait_for(lambda: self._hurried or self._stopped, timeout=self._pause_seconds())
                if self._hurried and self._failures:
                    self._changed.wait_for(lambda: self._stopped, timeout=SEND_EVERY_SECONDS)
                if self._stopped:
                    return
                journals = list(self._pending)
            for journal in journals:
                if self._stopped or not self._attempt(journal):
                    break
            else:
                while self._once and not self._stopped and self._attempt_once():
                    pass

    def _attempt(self, journal: Journal) -> bool:
        end = journal.end()
        try:
            self._send(journal)
        except UnreachableError as error:
            self._failed(journal, str(error))
            return False
        self._succeeded(journal, end)
        return True

    def _attempt_once(self) -> bool:
        fault = ""
        try:
            self._once[0]()
        except UnreachableError as error:
            fault = str(error)
        if fault and fault not in self._faults_once:
            self._faults_once.add(fault)
            self._say(f"{fault}; what an earlier command kept for MLflow stays for a later one.")
        with self._changed:
            self._once.popleft()
            if not fault:
                self._last_success = time.monotonic()
            self._changed.notify_all()
        return not fault

    def _failed(self, journal: Journal, fault: str) -> None:
        if not self.fault:
            self._say(f"{fault}; the study goes on, and what MLflow is to know is kept and sent later.")
        with self._changed:
            self.fault = fault
            self._failures += 1
            self._pending[journal] = self._pending.pop(journal, None)  # the others first next time

    def _succeeded(self, journal: Journal, end: int) -> None:
        if self.fault:
            self._say("MLflow answers again and is told what it has missed.")
        with self._changed:
            self.fault = ""
            self._failures, self._last_success = 0, time.monotonic()
            if journal.end() == end:
                self._pending.pop(journal, None)
            self._changed.notify_all()

    def _pause_seconds(self) -> float:
        return min(SEND_EVERY_SECONDS * float(2**self._failures), LONGEST_PAUSE_SECONDS)


def now() -> int:
    """Milliseconds, as MLflow counts time."""
    return int(1000 * time.time())


def spool_folder(home: Path) -> Path:
    """Where a home's journals lie."""
    return home / "mlflow" / "spool"


def leftovers(home: Path, uri: str) -> Iterator[Path]:
    """The journals that a tracking URI has not got to their end, or whose run was never ended."""
    for path in sorted(spool_folder(home).glob(f"*/*/*/{SENT}")):
        state = _read_sent(path.parent).get(uri)
        journal = path.parent / JOURNAL
        if state is not None and (state["offset"] < journal.stat().st_size or not _is_ended(journal)):
            yield path.parent


def _is_ended(journal: Path) -> bool:
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - TAIL_BYTES))
        last = file.read().strip().rpartition(b"\n")[2]
    with suppress(ValueError):
        return json.loads(last).get("status") in TERMINAL
    return False


def _read_sent(folder: Path) -> dict[str, Any]:
    try:
        states: dict[str, Any] = json.loads((folder / SENT).read_text())
    except (OSError, ValueError):
        return {}
    return states
