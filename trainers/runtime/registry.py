"""Registries: records under a name, one JSON file each, of files that were digested once."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

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
        record = parse(json.loads(path.read_text()))
        if not _is_of(record, type(record)):
            raise TypeError("a field is of another type")
        return record
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise MachineError(f"{path} cannot be read: {remedy}") from None


def _is_of(value: object, annotation: Any) -> bool:
    """Whether a value is of a type, with all that it holds: records are dataclasses of texts, numbers and tuples."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if is_dataclass(annotation):
        hints = get_type_hints(annotation)
        return all(_is_of(getattr(value, field.name), hints[field.name]) for field in fields(annotation))
    if origin in (Union, UnionType):
        return any(_is_of(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        kinds = (parts[0],) * len(value) if parts[-1] is Ellipsis and isinstance(value, tuple) else parts
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_is_of, value, kinds))
    return type(value) is annotation


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
