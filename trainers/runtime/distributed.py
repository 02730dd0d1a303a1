"""Collectives between the workers of one training run; in a single process they are the identity.

The workers hold the rows of a batch in rank order, the same number each.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as group

BUCKET_BYTES = 25 * 2**20

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
_all_to_all = _collective(group.all_to_all_single)
_broadcast = _collective(group.broadcast)


class _Membership:
    """What this process remembers of its group."""

    joined = False


def world_size() -> int:
    """The number of processes that train together.

    Raises:
        WorkerLostError: there were several, and their group has ended. Ray Train ends it while the training of a worker
            still runs, which must not go on alone.
    """
    return group.get_world_size() if _has_group() else 1


def rank() -> int:
    """The rank of this process; raises as `world_size` does."""
    return group.get_rank() if _has_group() else 0


def _has_group() -> bool:
    if group.is_initialized():
        _Membership.joined = True
        return True
    if _Membership.joined:
        raise WorkerLostError("the workers of this run lost each other: their process group has ended")
    return False


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


@torch.no_grad()
def reordered(x: Tensor, order: Tensor) -> Tensor:
    """This worker's rows once all workers' rows are put in another order; no gradient goes through.

    A row is sent to the one worker that holds it then: images are never gathered, as `all_gather` would.

    Args:
        x: this worker's rows.
        order: the row, of all workers' N, that comes to each place: a permutation, on the CPU, the same on all workers.
    """
    if world_size() == 1:
        return x[order.to(x.device, non_blocking=True)]
    holders, rows = order // len(x), order % len(x)  # of every place
    sent = holders == rank()
    received = local_rows(holders)
    outgoing = x[rows[sent].to(x.device, non_blocking=True)].contiguous()
    incoming = outgoing.new_empty(x.shape)
    num_sent = sent.view(world_size(), -1).sum(1).tolist()
    num_received = torch.bincount(received, minlength=world_size()).tolist()
    _all_to_all(incoming, outgoing, num_received, num_sent)  # in the order of the workers that send
    places = torch.argsort(received, stable=True)
    return incoming[torch.argsort(places).to(x.device, non_blocking=True)]


def average_(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by its mean over the workers, whose bits are the same on all of them."""
    if world_size() > 1:
        _in_buckets(tensors, lambda bucket: (_all_reduce(bucket), bucket.div_(world_size())))


class GradientAverage:
    """Mean of the gradients over all workers, taken in buckets while the backward pass goes on.

    Buckets hold the parameters from the last to the first, as their gradients come, and are sent in one order by all
    workers: like that of `average_`, their layout never changes.

    Args:
        parameters: whose gradients are averaged.
        bucket_bytes: size from which a bucket is full.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], bucket_bytes: int = BUCKET_BYTES) -> None:
        self._buckets = _full_buckets(list(parameters)[::-1], bucket_bytes)
        self._missing: list[int] = []
        self._sent: list[tuple[list[Tensor], Tensor, group.Work | None]] = []
        for index, bucket in enumerate(self._buckets):
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(functools.partial(self._came, index))  # type: ignore[no-untyped-call]

    def begin(self) -> None:
        """Before a backward pass."""
        self._missing = [len(bucket) for bucket in self._buckets]
        self._sent = []

    def finish(self) -> None:
        """After the backward pass: waits for the means, and puts them in the gradients' place.

        A parameter without a gradient has none on any worker, and is left out.
        """
        while len(self._sent) < len(self._buckets):
            self._send()
        for gradients, sums, work in self._sent:
            if work is not None:
                _wait(work)
            means = torch.split(sums.div_(world_size()), [gradient.numel() for gradient in gradients])
            for gradient, mean in zip(gradients, means, strict=True):
                gradient.copy_(mean.view_as(gradient))

    def _came(self, index: int, _: Tensor) -> None:
        self._missing[index] -= 1
        while len(self._sent) < len(self._buckets) and not self._missing[len(self._sent)]:
            self._send()

    def _send(self) -> None:
        """Begins to sum the next bucket's gradients."""
        gradients = [each.grad for each in self._buckets[len(self._sent)] if each.grad is not None]
        sums = torch.cat([gradient.reshape(-1) for gradient in gradients]) if gradients else torch.empty(0)
        self._sent.append((gradients, sums, _begin_sum(sums) if gradients else None))


def _full_buckets(parameters: Sequence[nn.Parameter], bucket_bytes: int) -> list[list[nn.Parameter]]:
    """Parameters of one type and device each, in their order."""
    buckets: list[list[nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        if not buckets or size >= bucket_bytes or _kind(buckets[-1][0]) != _kind(parameter):
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += parameter.numel() * parameter.element_size()
    return buckets


@_collective
def _begin_sum(values: Tensor) -> group.Work:
    work: group.Work = group.all_reduce(values, async_op=True)
    return work


@_collective
def _wait(work: group.Work) -> None:
    work.wait()


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
