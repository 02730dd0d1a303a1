"""Processes that make batches, for GPUs that are faster than the threads of one process: Python runs one at a time."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Generic, TypeVar, cast

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from trainers.runtime.processes import end_after_parent

Asked = TypeVar("Asked")
Batch = TypeVar("Batch")

MADE_AHEAD = 2
"""Batches that every process makes before they are taken."""
SHARED_MEMORY = Path("/dev/shm")
SHARE_OF_ROOM = 0.5
"""Of the free shared memory, that batches may fill: other stages on this machine need theirs."""
FEWEST = 2


def fitting(num_processes: int, batch_bytes: int) -> int:
    """How many processes, of these at most, have room for their batches in shared memory; 0 where threads are better.

    Containers often have little of it (Docker's default is 64 MB): that is printed.
    """
    room = os.statvfs(SHARED_MEMORY) if SHARED_MEMORY.exists() else None
    free = SHARE_OF_ROOM * room.f_bavail * room.f_frsize if room else 0.0
    fit = min(num_processes, int(free / batch_bytes / (MADE_AHEAD + 1)))
    if fit < FEWEST <= num_processes:
        print(
            f"views are made by threads, which may be slower than the GPU: {SHARED_MEMORY} has room for "
            f"{free / 1e6:.0f} MB for them; give a container 4 GB of shared memory (deploy/README.md)."
        )
    return fit if fit >= FEWEST else 0


class Processes(Generic[Asked, Batch]):
    """Batches in the order in which they are asked for; processes make some of them ahead.

    They begin when the first batch is asked for, stay until `close`, and end by themselves when this process dies.

    Args:
        make: makes a batch; it is sent to the processes, once.
        num_processes: that make batches.
    """

    def __init__(self, make: Callable[[Asked], Batch], num_processes: int) -> None:
        self._queue: _Queue[Asked] = _Queue()
        self._loader: DataLoader[Batch] | None = DataLoader(
            _Made(make),
            batch_size=None,
            sampler=cast("Sampler[int]", self._queue),
            collate_fn=_as_it_is,
            num_workers=num_processes,
            prefetch_factor=MADE_AHEAD,
            persistent_workers=True,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_begin,
            multiprocessing_context=_context(),
        )

    def batches(self, asked: Iterable[Asked]) -> Generator[Batch, None, None]:
        """A batch for everything that is asked. An exception in a process is raised here."""
        assert self._loader is not None, "closed"
        self._queue.asked = asked
        yield from self._loader

    def close(self) -> None:
        """Ends the processes."""
        self._loader = None  # torch ends them when nobody holds the loader


class _Queue(Generic[Asked]):
    """What is asked for, as torch's loader wants to be told."""

    asked: Iterable[Asked] = ()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.asked)


class _Made(Dataset[Batch], Generic[Asked, Batch]):
    """A batch for whatever is asked."""

    def __init__(self, make: Callable[[Asked], Batch]) -> None:
        self._make = make

    def __getitem__(self, asked: Asked) -> Batch:
        return self._make(asked)


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _begin(_: int) -> None:
    """Sets a process up: on Ctrl-C, a training still takes the batches of its step, and then closes the processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    end_after_parent()  # torch's own watch is over the process that this one was forked from


def _context() -> BaseContext:
    """Processes are forked from one that has imported what they need, and has no threads and no GPU."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "trainers.data.loading"])
    return context
