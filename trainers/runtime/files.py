"""Atomic writes: a file appears whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, mark: str = "") -> Iterator[Path]:
    """Yields a temporary path to write to, which replaces `path` in one rename once it is on disk.

    If the block fails, `path` stays as it was. What a killed process leaves is replaced by the next write.

    Args:
        path: the file to write; its folder is made if need be.
        mark: part of the temporary file's name, where several processes may write the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{mark}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
