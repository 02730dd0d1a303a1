"""Batch normalisation in parts on a GPU, fused with the residual addition and the ReLU that follow it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.networks.batch_norm_kernels import (
    gradient_sums,
    input_gradients,
    moments,
    normalise,
    statistics,
    sum_chunks,
)

TILE = 4096
"""Elements of the matrix that a program holds at once."""
PROGRAMS = 1024
"""Programs that the rows are shared out to, roughly: several for every multiprocessor of a large GPU."""


@dataclass(frozen=True)
class _Layout:
    """How the matrix of a batch is shared out to programs."""

    parts: int
    rows: int
    """Of a part."""
    channels: int

    @property
    def tile(self) -> dict[str, int]:
        columns = min(128, _power_of_2(self.channels))
        return {"ROWS": TILE // columns, "COLUMNS": columns}

    @property
    def _column_tiles(self) -> int:
        return _ceil(self.channels, self.tile["COLUMNS"])

    @property
    def chunks(self) -> int:
        """Chunks of a part's rows whose sums are taken by a program each."""
        wanted = max(1, PROGRAMS // (self.parts * self._column_tiles))
        return min(wanted, _ceil(self.rows, self.tile["ROWS"]))

    @property
    def chunk(self) -> int:
        """Rows of a chunk: whole tiles."""
        tile = self.tile["ROWS"]
        return _ceil(_ceil(self.rows, self.chunks), tile) * tile

    @property
    def used_chunks(self) -> int:
        return _ceil(self.rows, self.chunk)

    @property
    def reduction_grid(self) -> tuple[int, int, int]:
        return self.parts, self.used_chunks, self._column_tiles

    @property
    def tiles_grid(self) -> tuple[int, int, int]:
        return _ceil(self.rows, self.tile["ROWS"]), self.parts, self._column_tiles  # the first may be long

    @property
    def merge(self) -> dict[str, int]:
        chunks = _power_of_2(self.used_chunks)
        return {"PARTS": self.parts, "CHUNKS": chunks, "COLUMNS": min(16, _power_of_2(self.channels))}

    @property
    def merge_grid(self) -> tuple[int]:
        return (_ceil(self.channels, self.merge["COLUMNS"]),)

    def per_chunk(self, like: Tensor) -> Tensor:
        return torch.empty(2, self.parts, self.used_chunks, self.channels, device=like.device)

    def per_part(self, like: Tensor) -> Tensor:
        return torch.empty(2, self.parts, self.channels, device=like.device)


class SplitBatchNorm(torch.autograd.Function):
    """x ↦ ReLU(γ (x − μ_s) / √(σ_s² + ε) + β + residual), with μ_s and σ_s² of every part s of the batch."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, running_mean: Tensor,
        running_variance: Tensor, parts: int, first: bool, momentum: float, epsilon: float, relu: bool,
    ) -> Tensor:  # fmt: skip
        x = x.contiguous(memory_format=torch.channels_last)
        channels = x.shape[1]
        layout = _Layout(parts, x.numel() // channels // parts, channels)
        means, squares = layout.per_chunk(x)
        mean, scale = layout.per_part(x)
        moments[layout.reduction_grid](x, means, squares, layout.rows, channels, layout.chunk, **layout.tile)
        statistics[layout.merge_grid](
            means, squares, mean, scale, running_mean, running_variance, layout.rows, channels, layout.chunk,
            layout.used_chunks, momentum, epsilon, FIRST=first, **layout.merge,
        )  # fmt: skip
        y = torch.empty_like(x)
        added = None if residual is None else residual.contiguous(memory_format=torch.channels_last)
        normalise[layout.tiles_grid](
            x, x if added is None else added, y, mean, scale, weight, bias, layout.rows, channels,
            RELU=relu, ADD=added is not None, **layout.tile,
        )  # fmt: skip
        ctx.save_for_backward(x, y if relu else x, mean, scale, weight)
        ctx.layout, ctx.relu, ctx.adds = layout, relu, added is not None
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, y, mean, scale, weight = ctx.saved_tensors
        layout: _Layout = ctx.layout
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        sums, products = layout.per_chunk(x)
        gradient_sums[layout.reduction_grid](
            gradient, x, y, mean, scale, sums, products, layout.rows, layout.channels, layout.chunk,
            RELU=ctx.relu, **layout.tile,
        )  # fmt: skip
        part_sums, part_products = layout.per_part(x)
        weight_gradient, bias_gradient = torch.empty_like(weight), torch.empty_like(weight)
        sum_chunks[layout.merge_grid](
            sums, products, part_sums, part_products, weight_gradient, bias_gradient, layout.channels,
            layout.used_chunks, **layout.merge,
        )  # fmt: skip
        x_gradient = torch.empty_like(x)
        residual_gradient = torch.empty_like(x) if ctx.adds else None
        input_gradients[layout.tiles_grid](
            gradient, x, y, mean, scale, weight, part_sums, part_products, x_gradient,
            x_gradient if residual_gradient is None else residual_gradient, layout.rows, layout.channels,
            RELU=ctx.relu, ADD=ctx.adds, **layout.tile,
        )  # fmt: skip
        return x_gradient, weight_gradient, bias_gradient, residual_gradient, *[None] * 7


def _ceil(number: int, by: int) -> int:
    """The quotient, rounded upwards."""
    return -(-number // by)


def _power_of_2(number: int) -> int:
    """The least power of two that is no smaller."""
    return 1 << (number - 1).bit_length()
