"""Batches of frames, read, decoded and augmented in threads a few batches ahead of the network."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from trainers.data.augmentation import NUMBERS_PER_VIEW, MoCoAugmentation
from trainers.data.frames import Frames
from trainers.data.views import plain, write_planes, write_view
from trainers.runtime.randomness import CounterDraws, numpy_generator
from trainers.stage import InputError

FRAMES_PER_TASK = 8
BATCHES_AHEAD = 2
THREAD_NAMES = "freelunch-loader"

Batch = TypeVar("Batch")
Task = Callable[[], None]


@dataclass(frozen=True)
class ViewBatch:
    """Random views of every frame of a batch."""

    views: Tensor
    """2×N×3×S×S, uint8 RGB."""
    small: tuple[Tensor, ...]
    """Further views, as many as the augmentation makes: N×3×s×s each, uint8 RGB."""
    frame_ids: Tensor
    """N, int64: which frames they are, the same in every run and subset."""


class ViewLoader:
    """Random views of every frame, in a new order each epoch: two, and the further ones of the augmentation.

    A view depends on (seed, epoch, source, frame, view) alone: not on threads, batch size or the other frames.

    Args:
        frames: what is visited; it stays open as long as the loader is used.
        augmentation: makes a view.
        batch_size: frames per step, over all workers; an epoch's last incomplete batch is dropped.
        seed: the trial's seed.
        threads: how many threads decode and augment.
        share: the part of every batch that this worker makes.
        pin_memory: whether views are in page-locked memory, so that they are copied to the GPU while it computes.

    Raises:
        InputError: there are fewer frames than one batch takes.
    """

    def __init__(
        self,
        frames: Frames,
        augmentation: MoCoAugmentation,
        *,
        batch_size: int,
        seed: int,
        threads: int,
        share: slice = slice(None),
        pin_memory: bool = False,
    ) -> None:
        if len(frames) < batch_size:
            raise InputError(f"{len(frames)} frames do not fill one batch of {batch_size}: lower the batch size.")
        self.frames = frames
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.seed = seed
        self.threads = threads
        self.share = share
        self.pin_memory = pin_memory

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self.frames) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """The rows of every step of an epoch, over all workers: steps×batch_size, int64."""
        permutation = numpy_generator(self.seed, "permutation", epoch).permutation(len(self.frames))
        return permutation[: len(self) * self.batch_size].reshape(len(self), self.batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Generator[ViewBatch, None, None]:
        """The batches of an epoch from a step (0-based) on; closing the iterator ends its threads."""
        batches = (self._begin(rows[self.share], epoch) for rows in self.order(epoch)[first:])
        return _ahead(batches, self.threads)

    def _begin(self, rows: np.ndarray, epoch: int) -> tuple[ViewBatch, list[Task]]:
        draws = view_draws(self.seed, epoch)
        first, _, *further = self.augmentation.sizes_px
        views = self._empty(2, len(rows), 3, first, first)
        small = tuple(self._empty(len(rows), 3, size, size) for size in further)
        ids = torch.tensor([self.frames.frame_id(row) for row in rows.tolist()])
        arrays = [view.numpy() for view in (*views, *small)]

        def fill(positions: range) -> None:
            for position in positions:
                out = [array[position] for array in arrays]
                random_views(self.frames, int(rows[position]), self.augmentation, draws, out)

        return ViewBatch(views, small, ids), _tasks(fill, len(rows))

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self.pin_memory)


def view_draws(seed: int, epoch: int) -> CounterDraws:
    """The numbers that the views of every frame are drawn from in an epoch."""
    return CounterDraws(seed, "view", epoch)


def random_views(
    frames: Frames, row: int, augmentation: MoCoAugmentation, draws: CounterDraws, out: Sequence[np.ndarray]
) -> None:
    """Decodes one frame and writes its views of an epoch into `out` (3×S×S each, uint8)."""
    image = frames.image(row)
    height, width = image.shape[:2]
    numbers = draws.numbers(frames.source(row), frames.frame(row), len(out) * NUMBERS_PER_VIEW)
    for index, planes in enumerate(out):
        of_view = numbers[index * NUMBERS_PER_VIEW : (index + 1) * NUMBERS_PER_VIEW]
        write_view(image, augmentation.draw(of_view, height, width, index), planes)


def plain_batches(
    frames: Frames,
    size_px: int,
    batch_size: int,
    threads: int,
    *,
    order: np.ndarray | None = None,
    pin_memory: bool = False,
) -> Generator[Tensor, None, None]:
    """The plain view of frames: N×3×S×S, uint8; the last batch may be short.

    Args:
        frames: where rows are read.
        size_px: S, side of the views.
        batch_size: N.
        threads: how many decode at once.
        order: the rows to read; all of them, in their order, where None.
        pin_memory: hold batches in memory that a GPU copies from at once.
    """
    rows = np.arange(len(frames)) if order is None else order

    def begin(start: int) -> tuple[Tensor, list[Task]]:
        chosen = rows[start : start + batch_size]
        images = torch.empty((len(chosen), 3, size_px, size_px), dtype=torch.uint8, pin_memory=pin_memory)
        array = images.numpy()

        def fill(positions: range) -> None:
            for position in positions:
                write_planes(plain(frames.image(int(chosen[position])), size_px), array[position])

        return images, _tasks(fill, len(chosen))

    return _ahead((begin(start) for start in range(0, len(rows), batch_size)), threads)


def _tasks(fill: Callable[[range], None], count: int) -> list[Task]:
    """Calls of `fill` that together cover the positions below `count`."""

    def task(start: int) -> Task:
        return lambda: fill(range(start, min(start + FRAMES_PER_TASK, count)))

    return [task(start) for start in range(0, count, FRAMES_PER_TASK)]


def _ahead(batches: Iterable[tuple[Batch, list[Task]]], threads: int) -> Generator[Batch, None, None]:
    """Yields every batch once its tasks are done, while threads work on the next ones.

    An exception in a task is raised here. However the iteration ends, no thread outlives it.
    """
    cv2.setNumThreads(0)  # these threads are the parallelism; OpenCV's own would fight with them
    pool = ThreadPoolExecutor(threads, thread_name_prefix=THREAD_NAMES)
    pending: deque[tuple[Batch, list[Future[None]]]] = deque()
    try:
        for batch, tasks in batches:
            pending.append((batch, [pool.submit(task) for task in tasks]))
            if len(pending) > BATCHES_AHEAD:
                yield _finished(*pending.popleft())
        while pending:
            yield _finished(*pending.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(batch: Batch, futures: list[Future[None]]) -> Batch:
    for future in futures:
        future.result()
    return batch
