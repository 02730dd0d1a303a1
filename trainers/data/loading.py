"""Batches of frames, read, decoded and augmented a few batches ahead of the network, in threads or in processes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from trainers.data.augmentation import NUMBERS_PER_VIEW, MoCoAugmentation
from trainers.data.frames import Frames
from trainers.data.processes import Processes, fitting
from trainers.data.views import plain, write_planes, write_view
from trainers.runtime.randomness import CounterDraws, numpy_generator
from trainers.stage import InputError

FRAMES_PER_TASK = 8
BATCHES_AHEAD = 2
THREAD_NAMES = "freelunch-loader"
FEWEST_FOR_PROCESSES = 3
"""Cores from which processes make views faster than threads."""

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

    def pin_memory(self) -> "ViewBatch":
        """The same in page-locked memory."""
        small = tuple(each.pin_memory() for each in self.small)
        return ViewBatch(self.views.pin_memory(), small, self.frame_ids.pin_memory())


@dataclass(frozen=True)
class ViewMaker:
    """Makes the views of frames: in this process by several threads, or in another one.

    Attributes:
        frames: where rows are read.
        augmentation: makes a view.
        seed: the trial's.
    """

    frames: Frames
    augmentation: MoCoAugmentation
    seed: int

    def __call__(self, asked: tuple[np.ndarray, int]) -> ViewBatch:
        """The batch of some rows in an epoch."""
        rows, epoch = asked
        batch = self.empty(rows)
        self.fill(batch, rows, epoch, range(len(rows)))
        return batch

    def empty(self, rows: np.ndarray, *, pin_memory: bool = False) -> ViewBatch:
        """The batch before its views are made."""
        first, _, *further = self.augmentation.sizes_px
        shapes = [(2, len(rows), 3, first, first), *((len(rows), 3, size, size) for size in further)]
        views, *small = (torch.empty(shape, dtype=torch.uint8, pin_memory=pin_memory) for shape in shapes)
        return ViewBatch(views, tuple(small), torch.tensor([self.frames.frame_id(row) for row in rows.tolist()]))

    def fill(self, batch: ViewBatch, rows: np.ndarray, epoch: int, positions: range) -> None:
        """Makes the views at some positions of a batch."""
        draws = view_draws(self.seed, epoch)
        arrays = [view.numpy() for view in (*batch.views, *batch.small)]
        for position in positions:
            out = [array[position] for array in arrays]
            random_views(self.frames, int(rows[position]), self.augmentation, draws, out)


class ViewLoader:
    """Random views of every frame, in a new order each epoch: two, and the further ones of the augmentation.

    A view depends on (seed, epoch, source, frame, view) alone: not on threads, batch size or the other frames.
    For a GPU, views are in page-locked memory, from which they are copied while it computes, and where there are cores
    enough, processes make them: close the loader then, or use it as a context.

    Args:
        frames: what is visited; it stays open as long as the loader is used.
        augmentation: makes a view.
        batch_size: frames per step, over all workers; an epoch's last incomplete batch is dropped.
        seed: the trial's seed.
        threads: how many threads, or processes, decode and augment.
        share: the part of every batch that this worker makes.
        pin_memory: whether the batches are for a GPU.

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
        self._maker = ViewMaker(frames, augmentation, seed)
        self._processes: Processes[tuple[np.ndarray, int], ViewBatch] | None = None

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self.frames) // self.batch_size

    @cached_property
    def num_processes(self) -> int:
        """Processes that make views; none for a CPU, which one process's threads keep busy."""
        if not self.pin_memory or self.threads < FEWEST_FOR_PROCESSES:
            return 0
        local = len(range(*self.share.indices(self.batch_size)))
        return fitting(self.threads, local * 3 * sum(size * size for size in self.augmentation.sizes_px))

    def order(self, epoch: int) -> np.ndarray:
        """The rows of every step of an epoch, over all workers: steps×batch_size, int64."""
        permutation = numpy_generator(self.seed, "permutation", epoch).permutation(len(self.frames))
        return permutation[: len(self) * self.batch_size].reshape(len(self), self.batch_size)

    def epoch(self, epoch: int, first: int = 0) -> Generator[ViewBatch, None, None]:
        """The batches of an epoch from a step (0-based) on; closing the iterator ends its threads."""
        asked = [(rows[self.share], epoch) for rows in self.order(epoch)[first:]]
        processes = self._started()
        if processes is not None:
            return processes.batches(asked)
        return _ahead((self._begin(*each) for each in asked), self.threads)

    def close(self) -> None:
        """Ends the processes that make views, where there are any."""
        if self._processes is not None:
            self._processes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> Processes[tuple[np.ndarray, int], ViewBatch] | None:
        """The processes that make views, where they are wanted."""
        if self._processes is None and self.num_processes:
            self._processes = Processes(self._maker, self.num_processes)
        return self._processes

    def _begin(self, rows: np.ndarray, epoch: int) -> tuple[ViewBatch, list[Task]]:
        batch = self._maker.empty(rows, pin_memory=self.pin_memory)
        return batch, _tasks(lambda positions: self._maker.fill(batch, rows, epoch, positions), len(rows))


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
