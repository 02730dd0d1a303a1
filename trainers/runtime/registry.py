"""Registries: records under a name, one JSON file each, of files that were digested once."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from trainers.records import checked
from trainers.runtime.files import replacing
from trainers.stage import MachineError

R = TypeVar("R")

Stamp = tuple[int, int]
"""Size in bytes and time of modification in nanoseconds of a file; while they stay, its content has stayed."""


def names(folder: Path) -> list[str]:
    """Names of all records in a registry's folder."""
    return sorted(path.stem for path in folder.iterdir() if path.suffix == ".json") if folder.exists() else []


def write_record(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Writes a record, in place of one of that name."""
    with replacing(folder / f"{name}.json") as path:
        path.write_text(json.dumps(record, indent=1))


def read_record(folder: Path, name: str, parse: Callable[[dict[str, Any]], R], remedy: str) -> R:
    """Reads a record.

    Args:
        folder: the registry's.
        name: of the record.
        parse: makes the result of the JSON object.
        remedy: the rest of the sentence where the file cannot be read.

    Raises:
        MachineError: the file cannot be read, or holds something else.
    """
    path = folder / f"{name}.json"
    try:
        return checked(parse(json.loads(path.read_text())))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise MachineError(f"{path} cannot be read: {remedy}") from None


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
