"""Checkpoints of a training stage: written whole or not at all, so that a killed stage goes on from the last one."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from trainers.runtime.files import replacing

FILE_NAME = "checkpoint.pt"
PERIOD_SECONDS = 120.0
"""Age of the last checkpoint from which on another one is written within an epoch."""
MOST_OF_TIME = 0.02
"""Largest part of the time since the last checkpoint that writing it may have taken when the next one is written."""


class Pace:
    """Clock that says whether the next checkpoint is due.

    At the end of an epoch it is due unless writing one takes too much of the time; within an epoch, the last one must
    be old, too.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written = clock()
        self._took = 0.0

    def is_due(self, *, within_epoch: bool = False) -> bool:
        """Whether a checkpoint is to be written now."""
        passed = self._clock() - self._written
        return self._took <= MOST_OF_TIME * passed and (not within_epoch or passed >= PERIOD_SECONDS)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Takes the time of a block that writes a checkpoint."""
        start = self._clock()
        yield
        self._written = self._clock()
        self._took = self._written - start


def save(folder: Path, state: Mapping[str, Any]) -> None:
    """Replaces the folder's checkpoint in one rename."""
    with replacing(folder / FILE_NAME) as path:
        torch.save(dict(state), path)


def load(folder: Path) -> dict[str, Any] | None:
    """The folder's checkpoint on the CPU, or None where there is none that can be read."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        refuse(f"it cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None
    return state


def refuse(fault: str) -> None:
    """Says that a checkpoint is not gone on from, and why."""
    print(f"the checkpoint is left alone, and training starts again ({fault})")


def described(folder: Path) -> str:
    """The folder's last checkpoint in words, as errors name it."""
    state = load(folder)
    if state is None:
        return "there is no checkpoint yet"
    return f"the last good checkpoint is that of {position(state['epoch'], state.get('step', 0))}"


def position(epoch: int, step: int) -> str:
    """Point of a training in words: after so many whole epochs and steps of the next one."""
    return f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"


def difference(expected: Mapping[str, object], found: Mapping[str, object]) -> str:
    """The first difference in names or shapes between two state dicts, in words; empty where there is none."""
    for name in [*expected, *found]:
        if name not in found or name not in expected:
            return f"{name} is {'missing from it' if name in expected else 'unknown here'}"
        ours, theirs = expected[name], found[name]
        if isinstance(ours, Tensor) and isinstance(theirs, Tensor) and ours.shape != theirs.shape:
            return f"{name} is {tuple(theirs.shape)}, not {tuple(ours.shape)}"
    return ""


def discard(folder: Path) -> None:
    """Removes what a finished stage no longer needs."""
    (folder / FILE_NAME).unlink(missing_ok=True)
