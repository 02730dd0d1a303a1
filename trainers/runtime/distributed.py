"""Collectives between the workers of one training run; in a single process they are the identity.

The workers hold the rows of a batch in rank order, the same number each.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch import distributed as group

P = ParamSpec("P")
R = TypeVar("R")


class WorkerLostError(Exception):
    """A collective failed, as it does when another worker has died."""


def _collective(function: Callable[P, R]) -> Callable[P, R]:
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:  # raised by gloo and by NCCL
            raise WorkerLostError(f"the workers of this run lost each other: {error}") from error

    return guarded


_all_gather = _collective(group.all_gather_into_tensor)
_all_reduce = _collective(group.all_reduce)
_broadcast = _collective(group.broadcast)


def world_size() -> int:
    """The number of processes that train together."""
    return group.get_world_size() if group.is_initialized() else 1


def rank() -> int:
    """The rank of this process."""
    return group.get_rank() if group.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the worker that writes, reports and probes for all."""
    return rank() == 0


def global_batch(num_rows: int) -> int:
    """The number of rows that all workers hold."""
    return num_rows * world_size()


def local_slice(num_rows: int) -> slice:
    """The slice of all workers' rows that this worker holds."""
    size = num_rows // world_size()
    return slice(rank() * size, (rank() + 1) * size)


def local_rows(x: Tensor) -> Tensor:
    """This worker's rows of all workers' N rows."""
    return x[local_slice(len(x))] if world_size() > 1 else x


@torch.no_grad()
def all_gather(x: Tensor) -> Tensor:
    """All workers' rows, in rank order; no gradient goes through."""
    if world_size() == 1:
        return x
    rows = x.new_empty((global_batch(len(x)), *x.shape[1:]))
    _all_gather(rows, x.contiguous())
    return rows


def average_(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by its mean over the workers, whose bits are the same on all of them."""
    if world_size() > 1:
        _in_buckets(tensors, lambda bucket: (_all_reduce(bucket), bucket.div_(world_size())))


def broadcast_(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by the first worker's."""
    if world_size() > 1:
        _in_buckets(tensors, lambda bucket: _broadcast(bucket, src=0))


@torch.no_grad()
def _in_buckets(tensors: Iterable[Tensor], communicate: Callable[[Tensor], object]) -> None:
    """Sends all tensors of one type at once.

    The layout of the bucket is the same in every step. That of DistributedDataParallel is not (it changes after the
    first step), and the order in which four workers' gradients are summed depends on the layout: a resumed run would
    differ from an uninterrupted one in the last bits.
    """
    for _, same_kind in groupby(sorted(tensors, key=_kind), key=_kind):
        parts = list(same_kind)
        bucket = torch.cat([part.reshape(-1) for part in parts])
        communicate(bucket)
        for part, values in zip(parts, torch.split(bucket, [part.numel() for part in parts]), strict=True):
            part.copy_(values.view(part.shape))


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tensor.device}"
