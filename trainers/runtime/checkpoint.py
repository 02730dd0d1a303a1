"""Checkpoints of a training stage: written whole or not at all, so that a killed stage goes on from the last one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainers.runtime.files import replacing

FILE_NAME = "checkpoint.pt"


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Replaces the folder's checkpoint in one rename."""
    with replacing(folder / FILE_NAME) as path:
        torch.save(dict(state), path)


def load(folder: Path) -> dict[str, Any] | None:
    """The folder's checkpoint on the CPU, or None where there is none."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def discard(folder: Path) -> None:
    """Removes what a finished stage no longer needs."""
    (folder / FILE_NAME).unlink(missing_ok=True)
