"""The artifact store: folders named by key on a file system that all nodes see, published whole or not at all.

Layout below the home folder:

    artifacts/<key>/            a finished stage: its files and manifest.json
    unfinished/<key>/           a stage at work, or one that was interrupted and will go on from there
    locks/<key>                 held while a stage is being computed
    removed/                    what is being thrown away
"""

import errno
import fcntl
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from study.core.graph import configs, describe, inputs, key, source_hash
from study.home.commands import DISTRIBUTION
from trainers.stage import InputError, MachineError, Stage

MANIFEST = "manifest.json"
LOG = "log.txt"
PROGRESS = "progress.json"
COMPUTED = "computed.json"
"""Lies in a folder whose stage has run to its end, until it is published: how many seconds that took."""
VERSIONED = (DISTRIBUTION, "torch", "torchvision", "numpy", "opencv-python-headless", "av", "pyarrow")
CONTENT_CHECK_BYTES = 64 * 2**20
"""Files up to this size are read and compared with their digest before a stage uses them; larger ones by `verify`."""
FULL_DISK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a finished stage."""

    key: str
    stage: str
    title: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    sources: Mapping[str, str]
    versions: Mapping[str, str]
    files: Mapping[str, tuple[int, str]]
    """Size in bytes and BLAKE2b digest of every file."""
    seconds: float
    expected_seconds: float
    finished: str
    host: str


class DiskFullError(MachineError):
    """Nothing more can be written; whatever else is computed would meet the same end."""


class Store:
    """Artifacts by key.

    Args:
        home: the home folder; created where it is missing.

    Raises:
        MachineError: the home folder cannot be written.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self._artifacts = self.home / "artifacts"
        self._unfinished = self.home / "unfinished"
        self._locks = self.home / "locks"
        self._removed = self.home / "removed"
        try:
            for folder in (self._artifacts, self._unfinished, self._locks):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"the home folder {self.home} cannot be written ({error.strerror}): "
                "name another with --home or FREELUNCH_HOME."
            ) from None

    def find(self, key: str) -> Path | None:
        """The folder of a finished stage, or None."""
        folder = self._artifacts / key
        return folder if (folder / MANIFEST).exists() else None

    def manifest(self, key: str) -> Manifest:
        """The manifest of a finished stage.

        Raises:
            MachineError: the manifest cannot be read.
        """
        path = self._artifacts / key / MANIFEST
        try:
            return Manifest(**json.loads(path.read_text()))
        except OSError as error:
            raise MachineError(f"{path} cannot be read ({error.strerror}): {_mend(key)}.") from None
        except (ValueError, TypeError):
            raise MachineError(f"{path} is damaged: {_mend(key)}.") from None

    def manifests(self) -> Iterator[Manifest]:
        """The manifests of all finished stages, but for damaged ones: who needs such a stage hears of it then."""
        for path in sorted(self._artifacts.glob(f"*/{MANIFEST}")):
            with suppress(MachineError):
                yield self.manifest(path.parent.name)

    def check(self, key: str, *, whole: bool = False) -> Path:
        """The folder of a finished stage, its files compared with the manifest.

        Args:
            key: the stage's key.
            whole: compare the content of large files too, not just their sizes.

        Raises:
            MachineError: a file is missing or is not what was published.
        """
        folder = self._artifacts / key
        manifest = self.manifest(key)
        for name, (size, recorded) in manifest.files.items():
            fault = _fault(folder / name, size, recorded if whole or size <= CONTENT_CHECK_BYTES else None)
            if fault:
                raise MachineError(f"{folder / name} of {manifest.title} {fault}: {_mend(key)}.")
        return folder

    def remove(self, key: str) -> None:
        """Removes a stage, finished or not, so that it is computed from its beginning when it is next needed.

        Raises:
            MachineError: a process is computing it.
        """
        if self.is_claimed(key):
            raise MachineError(f"stage {key[:12]} is being computed: interrupt that run first.")
        for folder in (self._artifacts / key, self._unfinished / key):
            if folder.exists():
                self._discard(folder)

    def unfinished(self, key: str) -> Path | None:
        """The folder of a stage that is at work or was interrupted, or None."""
        folder = self._unfinished / key
        return folder if folder.exists() else None

    def log(self, key: str) -> Path | None:
        """The log of a stage, finished or not, or None where there is none."""
        for folder in (self._artifacts / key, self._unfinished / key):
            if (folder / LOG).exists():
                return folder / LOG
        return None

    def stage_keys(self) -> list[str]:
        """The keys of all stages that have a folder here."""
        folders = (path for parent in (self._artifacts, self._unfinished) for path in parent.iterdir())
        return sorted({path.name for path in folders if path.is_dir()})

    def key_beginning(self, prefix: str) -> str:
        """The whole key of the one stage whose key begins so.

        Raises:
            InputError: no stage's key does, or several do.
        """
        matching = [key for key in self.stage_keys() if key.startswith(prefix)]
        if len(matching) != 1:
            found = f"{len(matching)} stages have keys that begin" if matching else "no stage has a key that begins"
            raise InputError(f"{found} with {prefix!r}: `freelunch status STUDY` shows the keys.")
        return matching[0]

    def is_claimed(self, key: str) -> bool:
        """Whether some process is computing the stage now."""
        path = self._locks / key
        if not path.exists():
            return False
        with path.open("a" if os.access(path, os.W_OK) else "r") as file:
            return not _try_lock(file.fileno())

    @contextmanager
    def claim(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Holds the right to compute a stage, and gives the folder to fill: what an interrupted run left is in it.

        Args:
            key: the stage's key.
            waiting: called once if another process holds the claim for longer than a second.

        Raises:
            MachineError: the home folder cannot be written, or its file system has no locks.
        """
        with self._open_lock(key) as lock:
            _wait_for_lock(lock.fileno(), waiting)
            yield self._folder_to_fill(key)

    @contextmanager
    def try_claim(self, key: str) -> Iterator[Path | None]:
        """As `claim`, but it never waits: it gives None where another process holds the claim.

        Raises:
            MachineError: the home folder cannot be written, or its file system has no locks.
        """
        with self._open_lock(key) as lock:
            yield self._folder_to_fill(key) if _try_lock(lock.fileno()) else None

    def publish(self, stage: Stage, folder: Path, seconds: float) -> Path:
        """Makes a filled folder the stage's artifact: everything on disk first, then one rename.

        Whatever interrupts it, the stage need not run again: `computed_seconds` tells that it has.

        Raises:
            DiskFullError: the disk is full; what was computed stays in the unfinished folder.
        """
        with translate_disk_errors(folder):
            _sync_all(folder)
            _write_synced(folder / COMPUTED, {"seconds": seconds})
            manifest = _manifest_of(stage, folder, seconds)
            _write_synced(folder / MANIFEST, asdict(manifest))
            (folder / COMPUTED).unlink()
            (folder / PROGRESS).unlink(missing_ok=True)
            target = self._artifacts / manifest.key
            if target.exists():  # without a manifest, or the stage would not have been computed
                self._discard(target)
            folder.rename(target)
            _fsync(self._artifacts)
        return target

    def _discard(self, folder: Path) -> None:
        """Renames a folder out of the way before emptying it, so that no half-emptied one is ever taken for whole."""
        self._removed.mkdir(exist_ok=True)
        own = self._removed / f"{folder.parent.name}-{folder.name}-{platform.node()}-{os.getpid()}-{time.time_ns()}"
        folder.rename(own)
        shutil.rmtree(own, ignore_errors=True)

    def _open_lock(self, key: str) -> TextIO:
        try:
            return (self._locks / key).open("a")
        except OSError as error:
            raise self._unwritable(error) from error

    def _folder_to_fill(self, key: str) -> Path:
        folder = self._unfinished / key
        if self.find(key) is None:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise self._unwritable(error) from error
        return folder

    def _unwritable(self, error: OSError) -> MachineError:
        return MachineError(
            f"the home folder {self.home} cannot be written ({error.strerror}): "
            "free some space, or name another with --home or FREELUNCH_HOME."
        )


def computed_seconds(folder: Path) -> float | None:
    """How long the stage in an unfinished folder took, if it ran to its end and only lacks being published."""
    for name in (COMPUTED, MANIFEST):
        try:
            return float(json.loads((folder / name).read_text())["seconds"])
        except (OSError, ValueError, KeyError):
            continue
    return None


def versions() -> dict[str, str]:
    """The installed versions of what numbers depend on."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


@contextmanager
def translate_disk_errors(place: Path) -> Iterator[None]:
    """Turns the system's 'no space left', however a library words it, into a sentence that says what to do."""
    try:
        yield
    except Exception as error:
        free = _free_bytes(place)
        known = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        # torch's writers raise a RuntimeError without the system's error number.
        if not known and not (isinstance(error, OSError | RuntimeError) and free < FULL_DISK_BYTES):
            raise
        raise DiskFullError(
            f"the disk of {place} is full ({free / 2**20:.0f} MiB left): free some space and type the same command "
            "again; finished stages are kept and this one goes on from its last checkpoint."
        ) from error


def _free_bytes(place: Path) -> float:
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return math.inf


def _manifest_of(stage: Stage, folder: Path, seconds: float) -> Manifest:
    files = {
        str(path.relative_to(folder)): (path.stat().st_size, _digest(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not str(path.relative_to(folder)).startswith((MANIFEST, COMPUTED, PROGRESS))
    }
    return Manifest(
        key=key(stage),
        stage=type(stage).__name__,
        title=stage.title,
        config=describe(stage),
        inputs={path: key(needed) for path, needed in inputs(stage).items()},
        sources={f"{cls.__module__}.{cls.__qualname__}": source_hash(cls) for cls in configs(stage)},
        versions={"python": platform.python_version(), **versions()},
        files=files,
        seconds=seconds,
        expected_seconds=stage.expected_seconds(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
    )


def _mend(key: str) -> str:
    return f"remove it with `freelunch remove {key[:12]}` and type the same command again to compute it anew"


def _fault(path: Path, size: int, digest: str | None) -> str | None:
    """What is wrong with a published file, or None; its content counts where a digest is given."""
    try:
        found = path.stat().st_size
        if found != size:
            return f"is damaged ({found} bytes instead of {size})"
        if digest is not None and _digest(path) != digest:
            return "is damaged (its content changed)"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _sync_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _fsync(path)
    _fsync(folder)


def _write_synced(path: Path, content: object) -> None:
    """Writes a file that is on disk, whole, once this returns."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(json.dumps(content, indent=1))
    _fsync(temporary)
    temporary.rename(path)
    _fsync(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MachineError(
            f"the file system of the home folder has no locks ({error.strerror}): name a home on another with --home."
        ) from None
    return True


def _wait_for_lock(descriptor: int, waiting: Callable[[], None]) -> None:
    deadline = time.monotonic() + 1
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return
        time.sleep(0.05)
