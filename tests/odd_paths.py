"""Paths at which something else lies than the file that should be there."""

import os
from pathlib import Path


def odd_path(path: Path, kind: str) -> Path:
    """Puts a folder, a pipe, a link to a device, or a link that leads to itself or nowhere, at a path."""
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path if kind == "loop" else path.with_name("nowhere"))
    return path
