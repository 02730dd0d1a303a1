"""GPU kernels of batch normalisation in parts, with the residual addition and the ReLU that follow it.

A batch N×C×H×W in channels-last memory is a matrix of N·H·W rows and C columns, of which every part holds equally many
consecutive rows. Statistics and sums are kept in single precision, and nothing is added atomically: equal inputs give
equal bits.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096
"""Elements of the matrix that a program holds at once."""
PROGRAMS = 1024
"""Programs that the rows are shared out to, roughly: several for every multiprocessor of a large GPU."""


@triton.jit
def _moments(x, means, squares, rows, channels, chunk, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Mean and sum of squared deviations of every column, over one chunk of a part's rows."""
    part, index, chunks = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    columns = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    start = index * chunk
    stop = tl.minimum(start + chunk, rows)
    base = x + part.to(tl.int64) * rows * channels
    # Deviations from the chunk's first row: their squares are as small as the columns' variances, whatever the means.
    first = tl.load(base + start.to(tl.int64) * channels + columns, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    square = tl.zeros([ROWS, COLUMNS], tl.float32)
    for row in range(start, stop, ROWS):
        lines = row + tl.arange(0, ROWS)
        mask = (lines < stop)[:, None] & inside[None, :]
        tile = tl.load(base + lines.to(tl.int64)[:, None] * channels + columns[None, :], mask=mask, other=0.0)
        deviation = tl.where(mask, tile.to(tl.float32) - first[None, :], 0.0)
        total += deviation
        square += deviation * deviation
    number = (stop - start).to(tl.float32)
    mean = tl.sum(total, 0) / number
    out = (part * chunks + index) * channels + columns
    tl.store(means + out, first + mean, mask=inside)
    tl.store(squares + out, tl.maximum(tl.sum(square, 0) - number * mean * mean, 0.0), mask=inside)


@triton.jit
def _statistics(
    means, squares, mean, scale, running_mean, running_variance, rows, channels, chunk, chunks, momentum, epsilon,
    PARTS: tl.constexpr, FIRST: tl.constexpr, CHUNKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Mean and 1/√(σ² + ε) of every part and column, and the running statistics after them."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    index = tl.arange(0, CHUNKS)
    numbers = tl.minimum(rows - index * chunk, chunk).to(tl.float32)
    mask = (index < chunks)[:, None] & inside[None, :]
    numbers = tl.where(index < chunks, numbers, 0.0)
    new_mean = tl.zeros([COLUMNS], tl.float32)
    new_variance = tl.zeros([COLUMNS], tl.float32)
    for part in tl.static_range(PARTS):
        at = (part * chunks + index)[:, None] * channels + columns[None, :]
        chunk_means = tl.load(means + at, mask=mask, other=0.0)
        chunk_squares = tl.load(squares + at, mask=mask, other=0.0)
        part_mean = tl.sum(chunk_means * numbers[:, None], 0) / rows
        deviation = chunk_means - part_mean[None, :]
        square = tl.sum(chunk_squares + numbers[:, None] * deviation * deviation, 0)
        tl.store(mean + part * channels + columns, part_mean, mask=inside)
        tl.store(scale + part * channels + columns, 1 / tl.sqrt_rn(square / rows + epsilon), mask=inside)
        if FIRST:
            if part == 0:
                new_mean += part_mean
                new_variance += square / (rows - 1)
        else:
            new_mean += part_mean / PARTS
            new_variance += square / (rows - 1) / PARTS
    old_mean = tl.load(running_mean + columns, mask=inside)
    old_variance = tl.load(running_variance + columns, mask=inside)
    tl.store(running_mean + columns, old_mean + momentum * (new_mean - old_mean), mask=inside)
    tl.store(running_variance + columns, old_variance + momentum * (new_variance - old_variance), mask=inside)


@triton.jit
def _normalise(
    x, residual, y, mean, scale, weight, bias, rows, channels,
    RELU: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    part = tl.program_id(1)
    lines = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (lines < rows)[:, None] & inside[None, :]
    at = part.to(tl.int64) * rows * channels + lines.to(tl.int64)[:, None] * channels + columns[None, :]
    factor = tl.load(scale + part * channels + columns, mask=inside, other=0.0)
    factor *= tl.load(weight + columns, mask=inside, other=0.0)
    shift = tl.load(bias + columns, mask=inside, other=0.0)
    centre = tl.load(mean + part * channels + columns, mask=inside, other=0.0)
    out = (tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - centre[None, :]) * factor[None, :] + shift[None, :]
    if ADD:
        out += tl.load(residual + at, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        out = tl.maximum(out, 0.0)
    tl.store(y + at, out, mask=mask)


@triton.jit
def _gradient_sums(
    gradient, x, y, mean, scale, sums, products, rows, channels, chunk,
    RELU: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sums of g and of g·x̂ of every column, over one chunk of a part's rows."""
    part, index, chunks = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    columns = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    start = index * chunk
    stop = tl.minimum(start + chunk, rows)
    centre = tl.load(mean + part * channels + columns, mask=inside, other=0.0)
    factor = tl.load(scale + part * channels + columns, mask=inside, other=0.0)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    product = tl.zeros([ROWS, COLUMNS], tl.float32)
    base = part.to(tl.int64) * rows * channels
    for row in range(start, stop, ROWS):
        lines = row + tl.arange(0, ROWS)
        mask = (lines < stop)[:, None] & inside[None, :]
        at = base + lines.to(tl.int64)[:, None] * channels + columns[None, :]
        g = tl.load(gradient + at, mask=mask, other=0.0).to(tl.float32)
        if RELU:
            g = tl.where(tl.load(y + at, mask=mask, other=0.0).to(tl.float32) > 0, g, 0.0)
        normalised = (tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - centre[None, :]) * factor[None, :]
        total += g
        product += g * normalised
    out = (part * chunks + index) * channels + columns
    tl.store(sums + out, tl.sum(total, 0), mask=inside)
    tl.store(products + out, tl.sum(product, 0), mask=inside)


@triton.jit
def _sum_chunks(
    sums, products, part_sums, part_products, weight_gradient, bias_gradient, channels, chunks,
    PARTS: tl.constexpr, CHUNKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    index = tl.arange(0, CHUNKS)
    mask = (index < chunks)[:, None] & inside[None, :]
    all_sums = tl.zeros([COLUMNS], tl.float32)
    all_products = tl.zeros([COLUMNS], tl.float32)
    for part in tl.static_range(PARTS):
        at = (part * chunks + index)[:, None] * channels + columns[None, :]
        part_sum = tl.sum(tl.load(sums + at, mask=mask, other=0.0), 0)
        part_product = tl.sum(tl.load(products + at, mask=mask, other=0.0), 0)
        tl.store(part_sums + part * channels + columns, part_sum, mask=inside)
        tl.store(part_products + part * channels + columns, part_product, mask=inside)
        all_sums += part_sum
        all_products += part_product
    tl.store(weight_gradient + columns, all_products, mask=inside)
    tl.store(bias_gradient + columns, all_sums, mask=inside)


@triton.jit
def _input_gradients(
    gradient, x, y, mean, scale, weight, part_sums, part_products, x_gradient, residual_gradient, rows, channels,
    RELU: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """γ/√(σ² + ε) (g − mean(g) − x̂ mean(g·x̂)), and g for the residual."""
    part = tl.program_id(1)
    lines = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (lines < rows)[:, None] & inside[None, :]
    at = part.to(tl.int64) * rows * channels + lines.to(tl.int64)[:, None] * channels + columns[None, :]
    own = part * channels + columns
    centre = tl.load(mean + own, mask=inside, other=0.0)
    factor = tl.load(scale + own, mask=inside, other=0.0)
    shift = tl.load(part_sums + own, mask=inside, other=0.0) / rows
    slope = tl.load(part_products + own, mask=inside, other=0.0) / rows
    gamma = tl.load(weight + columns, mask=inside, other=0.0)
    g = tl.load(gradient + at, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        g = tl.where(tl.load(y + at, mask=mask, other=0.0).to(tl.float32) > 0, g, 0.0)
    if ADD:
        tl.store(residual_gradient + at, g, mask=mask)
    normalised = (tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - centre[None, :]) * factor[None, :]
    out = (g - shift[None, :] - normalised * slope[None, :]) * (factor * gamma)[None, :]
    tl.store(x_gradient + at, out, mask=mask)


@dataclass(frozen=True)
class _Layout:
    """How the matrix of a batch is shared out to programs."""

    parts: int
    rows: int
    """Of a part."""
    channels: int

    @property
    def tile(self) -> dict[str, int]:
        columns = min(128, triton.next_power_of_2(self.channels))
        return {"ROWS": TILE // columns, "COLUMNS": columns}

    @property
    def _column_tiles(self) -> int:
        return triton.cdiv(self.channels, self.tile["COLUMNS"])

    @property
    def chunks(self) -> int:
        """Chunks of a part's rows whose sums are taken by a program each."""
        wanted = max(1, PROGRAMS // (self.parts * self._column_tiles))
        return min(wanted, triton.cdiv(self.rows, self.tile["ROWS"]))

    @property
    def chunk(self) -> int:
        """Rows of a chunk: whole tiles."""
        tile = self.tile["ROWS"]
        return triton.cdiv(triton.cdiv(self.rows, self.chunks), tile) * tile

    @property
    def used_chunks(self) -> int:
        return triton.cdiv(self.rows, self.chunk)

    @property
    def reduction_grid(self) -> tuple[int, int, int]:
        return self.parts, self.used_chunks, self._column_tiles

    @property
    def tiles_grid(self) -> tuple[int, int, int]:
        return triton.cdiv(self.rows, self.tile["ROWS"]), self.parts, self._column_tiles  # the first may be long

    @property
    def merge(self) -> dict[str, int]:
        chunks = triton.next_power_of_2(self.used_chunks)
        return {"PARTS": self.parts, "CHUNKS": chunks, "COLUMNS": min(16, triton.next_power_of_2(self.channels))}

    @property
    def merge_grid(self) -> tuple[int]:
        return (triton.cdiv(self.channels, self.merge["COLUMNS"]),)

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
        _moments[layout.reduction_grid](x, means, squares, layout.rows, channels, layout.chunk, **layout.tile)
        _statistics[layout.merge_grid](
            means, squares, mean, scale, running_mean, running_variance, layout.rows, channels, layout.chunk,
            layout.used_chunks, momentum, epsilon, FIRST=first, **layout.merge,
        )  # fmt: skip
        y = torch.empty_like(x)
        added = None if residual is None else residual.contiguous(memory_format=torch.channels_last)
        _normalise[layout.tiles_grid](
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
        _gradient_sums[layout.reduction_grid](
            gradient, x, y, mean, scale, sums, products, layout.rows, layout.channels, layout.chunk,
            RELU=ctx.relu, **layout.tile,
        )  # fmt: skip
        part_sums, part_products = layout.per_part(x)
        weight_gradient, bias_gradient = torch.empty_like(weight), torch.empty_like(weight)
        _sum_chunks[layout.merge_grid](
            sums, products, part_sums, part_products, weight_gradient, bias_gradient, layout.channels,
            layout.used_chunks, **layout.merge,
        )  # fmt: skip
        x_gradient = torch.empty_like(x)
        residual_gradient = torch.empty_like(x) if ctx.adds else None
        _input_gradients[layout.tiles_grid](
            gradient, x, y, mean, scale, weight, part_sums, part_products, x_gradient,
            x_gradient if residual_gradient is None else residual_gradient, layout.rows, layout.channels,
            RELU=ctx.relu, ADD=ctx.adds, **layout.tile,
        )  # fmt: skip
        return x_gradient, weight_gradient, bias_gradient, residual_gradient, *[None] * 7
