"""Checkpoints of a training stage: written whole or not at all, so that a killed stage goes on from the last one."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

FILE_NAME = "checkpoint.pt"


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Replaces the folder's checkpoint in one rename."""
    temporary = folder / f"{FILE_NAME}.part"
    with temporary.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / FILE_NAME)


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
