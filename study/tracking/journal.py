"""Write-ahead journal of MLflow calls, one per run: on disk first, sent later, never sent twice.

Layout below the home folder:

    mlflow/spool/<study>/<request>/<run>/journal.jsonl  the calls for a run, in order
                                         sent.json      by tracking URI: the run's id there, and how much was sent

The process that writes and sends a journal holds its lock. The journal keeps what no artifact has: the points of stages
that were stopped early or never finished, the time of every epoch, frames per second, labels and notes of trials.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, Self

from study.home.files import parse_object, read_json, try_lock, write_json
from trainers.records import is_of
from trainers.stage import MachineError

JOURNAL, SENT = "journal.jsonl", "sent.json"
FIELDS: dict[str, dict[str, Any]] = {
    "opened": {"experiment": dict[str, Any], "request": str, "trial": str, "name": str, "parent": str},
    "metrics": {"step": int, "values": dict[str, Any]},
    "param": {"name": str, "value": str},
    "tag": {"name": str, "value": str},
    "dataset": dict.fromkeys(("name", "digest", "context", "source", "profile"), str),
    "artifact": {"path": str, "name": str, "digest": str},
    "status": {"status": str},
}
"""The fields of every kind of entry with their types, beside `kind` and `time` in milliseconds."""

Entry = dict[str, Any]


class UnreachableError(Exception):
    """Nothing can be sent now; later perhaps."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The part of a journal that a tracking URI has.

    Attributes:
        run_id: the run there.
        offset: bytes of the journal that were sent.
        adopted: whether the run was there before the journal, so that it may have points that are yet to be sent.
    """

    run_id: str | None = None
    offset: int = 0
    adopted: bool = False


class Journal:
    """MLflow calls for one run; a call that changes nothing is not written again.

    Attributes:
        folder: the folder of its files.
        status: the run's last status, empty before the first.
        opening: the call that creates the run, empty before it.
    """

    def __init__(self, folder: Path, file: IO[bytes]) -> None:
        self.folder = folder
        self.status = ""
        self.opening: Entry = {}
        self._ends_with_status = False
        self._file = file
        self._known: dict[tuple[str, ...], object] = {}
        self._lock = threading.Lock()
        self._path = folder / JOURNAL
        content = self._path.read_bytes()
        self._end = content.rfind(b"\n") + 1
        file.truncate(self._end)  # half a line of a process that was killed
        for line in content[: self._end].splitlines():
            if entry := _parse(line):
                self._index(entry)
        sent = read_sent(folder)
        # A loss of power can leave less of the journal than was sent: then everything is sent again.
        is_whole = {uri: s.offset <= self._end and content[: s.offset][-1:] in (b"", b"\n") for uri, s in sent.items()}
        self._sent = {uri: s for uri, s in sent.items() if is_whole[uri]}

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
        """Releases the journal for other processes."""
        self._file.close()

    def open_run(self, opening: Mapping[str, Any]) -> None:
        """Adds the call that creates the run, complete, so that any process can send the journal later."""
        if not self.opening:
            self._append({"kind": "opened", **opening})

    def log_metrics(self, values: Mapping[str, float], step: int, milliseconds: int | None = None) -> None:
        """Adds the values at a step that the journal does not have yet."""
        new = {name: value for name, value in values.items() if ("metric", name, str(step)) not in self._known}
        if new:
            self._append({"kind": "metrics", "step": step, "values": new, "time": milliseconds or now()})

    def log_params(self, values: Mapping[str, object]) -> None:
        """Adds parameters; as in MLflow, the first value of each stays."""
        for name, value in values.items():
            if ("param", name) not in self._known:
                self._append({"kind": "param", "name": name, "value": str(value)})

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Adds the tags whose values have changed."""
        for name, value in values.items():
            if self._known.get(("tag", name)) != value:
                self._append({"kind": "tag", "name": name, "value": value})

    def tag(self, name: str) -> str:
        """The last value of a tag; empty where it has none."""
        return str(self._known.get(("tag", name), ""))

    def log_dataset(self, name: str, digest: str, context: str, *, source: str, profile: str) -> None:
        """Adds a dataset that the run reads."""
        if ("dataset", name, digest, context) not in self._known:
            dataset = {"name": name, "digest": digest, "context": context, "source": source, "profile": profile}
            self._append({"kind": "dataset", **dataset})

    def log_artifact(self, path: Path) -> None:
        """Adds a file, again where its content has changed; it is read when it is sent."""
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        if self._known.get(("artifact", path.name)) != digest:
            self._append({"kind": "artifact", "path": str(path), "name": path.name, "digest": digest})

    def set_status(self, status: str, milliseconds: int | None = None) -> None:
        """Adds the run's status where it has changed, or was followed by other entries."""
        if self.status != status or not self._ends_with_status:
            self._append({"kind": "status", "status": status, "time": milliseconds or now()})

    def end(self) -> int:
        """Length in bytes."""
        return self._end

    def unsent(self, uri: str) -> Iterator[tuple[Entry, int]]:
        """The entries that a tracking URI does not have yet, each with the offset behind it."""
        end = self._end
        with self._path.open("rb") as file:
            file.seek(self.sent(uri).offset)
            while file.tell() < end:
                if entry := _parse(file.readline()):
                    yield entry, file.tell()

    def sent(self, uri: str) -> Sent:
        """The part that a tracking URI has."""
        return self._sent.get(uri, Sent())

    def mark_sent(self, uri: str, *, offset: int | None = None, run: tuple[str | None, bool] | None = None) -> None:
        """Notes the part that a tracking URI has.

        Args:
            uri: the tracking URI.
            offset: the bytes that were sent.
            run: a run that gets everything from the start: its id, and whether it was there before.

        Raises:
            UnreachableError: this process has released the journal, while a call of MLflow lasted.
        """
        if self._file.closed:
            raise UnreachableError("MLflow is slow")  # another process may hold the journal now
        sent = self.sent(uri)
        if run is not None:
            sent = Sent(run_id=run[0], adopted=run[1])
        if offset is not None:
            sent = replace(sent, offset=offset)
        if self._sent.get(uri) != sent:
            self._sent[uri] = sent
            write_json(self.folder / SENT, {each: asdict(part) for each, part in self._sent.items()})

    def forget_sent(self, uri: str) -> None:
        """Notes that a tracking URI has nothing, where it had something."""
        if uri in self._sent:
            self.mark_sent(uri, run=(None, False))

    def num_unsent(self, uri: str) -> int:
        """Number of entries that a tracking URI does not have yet."""
        return sum(1 for _ in self.unsent(uri))

    def _append(self, entry: Entry) -> None:
        entry = {"time": now()} | entry
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            self._end += len(line)
        self._index(entry)

    def _index(self, entry: Entry) -> None:
        kind = entry["kind"]
        self._ends_with_status = kind == "status"
        if kind == "opened":
            self.opening = entry
        elif kind == "metrics":
            self._known.update({("metric", name, str(entry["step"])): None for name in entry["values"]})
        elif kind == "status":
            self.status = entry["status"]
        elif kind == "dataset":
            self._known["dataset", entry["name"], entry["digest"], entry["context"]] = None
        else:
            self._known[kind, entry["name"]] = entry.get("digest", entry.get("value"))


def now() -> int:
    """Milliseconds, as MLflow counts time."""
    return int(1000 * time.time())


def spool_folder(home: Path) -> Path:
    """The folder of a home's journals."""
    return home / "mlflow" / "spool"


def forget_sent(home: Path, uri: str) -> None:
    """Notes in a home's journals that a tracking URI has nothing, but for those that another process holds."""
    for path in spool_folder(home).glob(f"*/*/*/{SENT}"):
        if uri in read_sent(path.parent) and (journal := Journal.claim(path.parent)):
            journal.forget_sent(uri)
            journal.close()


def read_sent(folder: Path) -> dict[str, Sent]:
    """The parts of a journal that were sent, by tracking URI; without what cannot be understood."""
    try:
        content = read_json(folder / SENT)
    except (OSError, MachineError):
        return {}
    names = [field.name for field in fields(Sent)]
    parts = {uri: {n: v[n] for n in names if n in v} for uri, v in content.items() if isinstance(v, dict)}
    return {uri: Sent(**part) for uri, part in parts.items() if _is_sound(part)}


def _is_sound(part: Mapping[str, Any]) -> bool:
    offset, run_id = part.get("offset"), part.get("run_id")
    return type(offset) is int and offset >= 0 and (run_id is None or isinstance(run_id, str))


def _parse(line: bytes) -> Entry | None:
    """The entry of a line, or None where a loss of power or a full disk has left nonsense."""
    try:
        entry = parse_object(line)
    except ValueError:
        return None
    kind, content = entry.get("kind"), {"time": int}
    if not isinstance(kind, str) or kind not in FIELDS:
        return None
    content |= FIELDS[kind]
    return entry if all(is_of(entry.get(name), type_) for name, type_ in content.items()) and _means(entry) else None


def _means(entry: Entry) -> bool:
    """Whether MLflow can take an entry whose fields have their types."""
    experiment = entry.get("experiment", {"name": "", "tags": {}})
    return (
        all(isinstance(value, float) or is_of(value, float) for value in entry.get("values", {}).values())
        and experiment.keys() == {"name", "tags"}
        and isinstance(experiment["name"], str)
        and is_of(experiment["tags"], dict[str, str])
    )
