"""Manifest of a finished stage: its config, its inputs, the versions it was computed with, and every file's digest."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from study.core.graph import configs, describe, inputs, key, source_hash
from study.home.commands import DISTRIBUTION
from study.home.files import parse_object
from trainers.records import checked, is_of
from trainers.stage import Stage

MANIFEST = "manifest.json"
LOG = "log.txt"
PROGRESS = "progress.json"
COMPUTED = "computed.json"
"""The seconds that a stage took which has run to its end; removed when the stage is published."""
VERSIONED = (DISTRIBUTION, "torch", "torchvision", "numpy", "opencv-python-headless", "av", "pyarrow", "timm")
CONTENT_CHECK_BYTES = 64 * 2**20
"""Files up to this size are read and compared with their digest before a stage uses them; larger ones by `verify`."""


@dataclass(frozen=True, kw_only=True)
class Computer:
    """What has computed a stage; every value is None where it is not known, as in manifests of earlier versions.

    Attributes:
        gpus: that it was granted, over all of its workers.
        threads: that it was granted, over all of its workers.
        device: name of its GPU, or of the CPU where it was granted no GPU.
        steady_seconds: that the whole stage would take at the pace of its reports, without its start and its end.
    """

    gpus: float | None = None
    threads: int | None = None
    device: str | None = None
    steady_seconds: float | None = None


NOT_KNOWN = Computer()


@dataclass(frozen=True, kw_only=True)
class Manifest(Computer):
    """Record of a finished stage."""

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
    expected_bytes: float = 0.0


def computed_seconds(folder: Path) -> float | None:
    """Seconds that the stage in an unfinished folder took, if it ran to its end and is only not published yet."""
    for name in (COMPUTED, MANIFEST):
        with suppress(OSError, ValueError):
            seconds = parse_object((folder / name).read_bytes()).get("seconds")
            if is_of(seconds, float):
                return seconds
    return None


def manifest_of_record(record: Mapping[str, Any]) -> Manifest:
    """The manifest that a stored record holds.

    Raises:
        ValueError, TypeError, AttributeError, OverflowError: it holds none.
    """
    files = {name: tuple(entry) for name, entry in record.get("files", {}).items()}
    manifest = checked(Manifest(**{**record, "files": files}))
    datetime.fromisoformat(manifest.finished).timestamp()
    if manifest.seconds < 0 or any("\0" in name for name in files):
        raise ValueError("a field has no meaning")
    return manifest


def versions() -> dict[str, str]:
    """Installed versions of the packages that numbers depend on."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def manifest_of(stage: Stage, folder: Path, seconds: float, computer: Computer = NOT_KNOWN) -> Manifest:
    """The manifest of a stage whose files are in a folder."""
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
        versions={"python": platform.python_version(), **versions(), **stage.library_versions()},
        files=files,
        seconds=seconds,
        expected_seconds=stage.expected_seconds(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        expected_bytes=stage.expected_bytes(),
        **asdict(computer),
    )


def fault_of(path: Path, size: int, digest: str | None) -> str | None:
    """Fault of a published file, or None; its content is compared where a digest is given."""
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
