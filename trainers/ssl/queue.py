"""Queue of earlier keys: a ring buffer with one pointer for all its banks."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.runtime import distributed, randomness

NO_FRAME = -1
KEYS = "student"
"""The bank of a method with one pair of encoders: its name is part of the random start and of checkpoints."""


class Queue(nn.Module):
    """Keys of the last K frame views, in one bank of columns per encoder.

    All banks share one pointer and are filled by one call, so that column i of every bank always holds the key of the
    same frame view. Columns start as random directions, as MoCo's do. Every worker holds the keys of all.

    Args:
        size: K, the number of columns.
        dimensions: embedding length of every bank.
        seed: of the random directions.
    """

    frame_ids: Tensor
    num_seen: int

    def __init__(self, size: int, dimensions: Mapping[str, int], seed: int) -> None:
        super().__init__()
        self.size = size
        self._names = tuple(dimensions)
        for name, dimension in dimensions.items():
            generator = randomness.torch_generator(seed, "queue", name)
            self.register_buffer(name, F.normalize(torch.randn(dimension, size, generator=generator), dim=0))
        self.register_buffer("frame_ids", torch.full((size,), NO_FRAME))
        self.num_seen = 0

    def bank(self, name: str) -> Tensor:
        """The columns of one encoder, C×K."""
        return self.get_buffer(name)

    @property
    def num_filled(self) -> int:
        """The number of columns that hold keys; they are the first ones until the queue is full."""
        return min(self.num_seen, self.size)

    @property
    def pointer(self) -> int:
        """The column that the next key goes to."""
        return self.num_seen % self.size

    @torch.no_grad()
    def enqueue(self, keys: Mapping[str, Tensor], frame_ids: Tensor) -> None:
        """Replaces the oldest columns of every bank by all workers' keys.

        Args:
            keys: L2-normalised keys, N×C, for every bank.
            frame_ids: the frame of each key, N.
        """
        all_ids = distributed.all_gather(frame_ids)
        start, stop = self.pointer, self.pointer + len(all_ids)
        for name in self._names:
            self.bank(name)[:, start:stop] = distributed.all_gather(keys[name]).T
        self.frame_ids[start:stop] = all_ids
        self.num_seen += len(all_ids)

    def get_extra_state(self) -> int:
        return self.num_seen

    def set_extra_state(self, state: int) -> None:
        self.num_seen = state
