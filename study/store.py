"""The artifact store: folders named by key on a file system that all nodes see, published whole or not at all.

Layout below the home folder:

    artifacts/<key>/            a finished stage: its files and manifest.json
    unfinished/<key>/           a stage at work, or one that was interrupted and will go on from there
    locks/<key>                 held while a stage is being computed
"""

import errno
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from study.graph import configs, describe, inputs, key, source_hash
from trainers.stage import MachineError, Stage

MANIFEST = "manifest.json"
LOG = "log.txt"
PROGRESS = "progress.json"
VERSIONED = ("freelunch", "torch", "torchvision", "numpy", "opencv-python-headless", "av", "pyarrow")
CONTENT_CHECK_BYTES = 64 * 2**20
"""Files up to this size are read and compared with their digest before a stage uses them; larger ones by `verify`."""


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
        except (ValueError, TypeError):
            raise MachineError(f"{path} is damaged: {_mend(key)}.") from None

    def manifests(self) -> Iterator[Manifest]:
        """The manifests of all finished stages."""
        for path in sorted(self._artifacts.glob(f"*/{MANIFEST}")):
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
            path = folder / name
            if not path.exists():
                raise MachineError(f"{path} of {manifest.title} is missing: {_mend(key)}.")
            if path.stat().st_size != size:
                found = path.stat().st_size
                raise MachineError(
                    f"{path} of {manifest.title} is damaged ({found} bytes instead of {size}): {_mend(key)}."
                )
            if (whole or size <= CONTENT_CHECK_BYTES) and _digest(path) != recorded:
                raise MachineError(f"{path} of {manifest.title} is damaged (its content changed): {_mend(key)}.")
        return folder

    def remove(self, key: str) -> None:
        """Removes a finished stage, so that it is computed again when it is next needed."""
        shutil.rmtree(self._artifacts / key)

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

    def keys(self) -> list[str]:
        """The keys of all stages that have a folder here."""
        return sorted(path.name for parent in (self._artifacts, self._unfinished) for path in parent.iterdir())

    def is_claimed(self, key: str) -> bool:
        """Whether some process is computing the stage now."""
        path = self._locks / key
        if not path.exists():
            return False
        with path.open() as file:
            return not _try_lock(file.fileno())

    @contextmanager
    def claim(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Holds the right to compute a stage, and gives the folder to fill: what an interrupted run left is in it.

        Args:
            key: the stage's key.
            waiting: called once if another process holds the claim for longer than a second.
        """
        with (self._locks / key).open("w") as lock:
            _wait_for_lock(lock.fileno(), waiting)
            folder = self._unfinished / key
            if self.find(key) is None:
                folder.mkdir(exist_ok=True)
            yield folder

    def publish(self, stage: Stage, folder: Path, seconds: float) -> Path:
        """Makes a filled folder the stage's artifact: everything on disk first, then one rename.

        Raises:
            MachineError: the disk is full; what was computed stays in the unfinished folder.
        """
        (folder / PROGRESS).unlink(missing_ok=True)
        manifest = _manifest_of(stage, folder, seconds)
        with disk_full_explained(folder):
            temporary = folder / f"{MANIFEST}.part"
            temporary.write_text(json.dumps(asdict(manifest), indent=1))
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    _fsync(path)
            temporary.rename(folder / MANIFEST)
            _fsync(folder)
        target = self._artifacts / manifest.key
        folder.rename(target)
        _fsync(self._artifacts)
        return target


@contextmanager
def disk_full_explained(place: Path) -> Iterator[None]:
    """Turns the system's 'no space left' into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(place).free / 2**20
        raise MachineError(
            f"the disk of {place} is full ({free:.0f} MiB left): free some space and type the same command again; "
            "finished stages are kept and this one goes on from its last checkpoint."
        ) from error


def _manifest_of(stage: Stage, folder: Path, seconds: float) -> Manifest:
    files = {
        str(path.relative_to(folder)): (path.stat().st_size, _digest(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(MANIFEST)
    }
    return Manifest(
        key=key(stage),
        stage=type(stage).__name__,
        title=stage.title,
        config=describe(stage),
        inputs={path: key(needed) for path, needed in inputs(stage).items()},
        sources={f"{cls.__module__}.{cls.__qualname__}": source_hash(cls) for cls in configs(stage)},
        versions={"python": platform.python_version(), **_versions()},
        files=files,
        seconds=seconds,
        expected_seconds=stage.expected_seconds(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _mend(key: str) -> str:
    return f"remove it with `freelunch remove {key[:12]}` and type the same command again to compute it anew"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


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
    return True


def _wait_for_lock(descriptor: int, waiting: Callable[[], None]) -> None:
    deadline = time.monotonic() + 1
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return
        time.sleep(0.05)
