"""GPU kernels of batch normalisation in parts, with the residual addition and the ReLU that follow it.

A batch N×C×H×W in channels-last memory is a matrix of N·H·W rows and C columns, of which every part holds equally many
consecutive rows. Statistics and sums are kept in single precision, and nothing is added atomically: equal inputs give
equal bits.
"""

import triton
import triton.language as tl


@triton.jit
def moments(x, means, squares, rows, channels, chunk, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
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
def statistics(
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
def _tile(rows, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The tile of a program: its columns, the places of their statistics and of its elements, and the masks of both."""
    part = tl.program_id(1)
    lines = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < channels
    mask = (lines < rows)[:, None] & inside[None, :]
    at = part.to(tl.int64) * rows * channels + lines.to(tl.int64)[:, None] * channels + columns[None, :]
    return columns, part * channels + columns, at, inside, mask


@triton.jit
def _scaled(x, at, mask, centre, factor):
    """Elements of x, less the centre of their column, times its factor."""
    return (tl.load(x + at, mask=mask, other=0.0).to(tl.float32) - centre[None, :]) * factor[None, :]


@triton.jit
def _before_relu(gradient, y, at, mask, RELU: tl.constexpr):
    """Elements of the gradient, before the ReLU where there is one."""
    g = tl.load(gradient + at, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        g = tl.where(tl.load(y + at, mask=mask, other=0.0).to(tl.float32) > 0, g, 0.0)
    return g


@triton.jit
def normalise(
    x, residual, y, mean, scale, weight, bias, rows, channels,
    RELU: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """γ x̂ + β of every element, plus the residual, through the ReLU."""
    columns, own, at, inside, mask = _tile(rows, channels, ROWS, COLUMNS)
    factor = tl.load(scale + own, mask=inside, other=0.0)
    factor *= tl.load(weight + columns, mask=inside, other=0.0)
    shift = tl.load(bias + columns, mask=inside, other=0.0)
    centre = tl.load(mean + own, mask=inside, other=0.0)
    out = _scaled(x, at, mask, centre, factor) + shift[None, :]
    if ADD:
        out += tl.load(residual + at, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        out = tl.maximum(out, 0.0)
    tl.store(y + at, out, mask=mask)


@triton.jit
def gradient_sums(
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
        g = _before_relu(gradient, y, at, mask, RELU)
        normalised = _scaled(x, at, mask, centre, factor)
        total += g
        product += g * normalised
    out = (part * chunks + index) * channels + columns
    tl.store(sums + out, tl.sum(total, 0), mask=inside)
    tl.store(products + out, tl.sum(product, 0), mask=inside)


@triton.jit
def sum_chunks(
    sums, products, part_sums, part_products, weight_gradient, bias_gradient, channels, chunks,
    PARTS: tl.constexpr, CHUNKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sums of g and of g·x̂ of every part, and over all parts: the gradients of bias and weight."""
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
def input_gradients(
    gradient, x, y, mean, scale, weight, part_sums, part_products, x_gradient, residual_gradient, rows, channels,
    RELU: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """γ/√(σ² + ε) (g − mean(g) − x̂ mean(g·x̂)), and g for the residual."""
    columns, own, at, inside, mask = _tile(rows, channels, ROWS, COLUMNS)
    centre = tl.load(mean + own, mask=inside, other=0.0)
    factor = tl.load(scale + own, mask=inside, other=0.0)
    shift = tl.load(part_sums + own, mask=inside, other=0.0) / rows
    slope = tl.load(part_products + own, mask=inside, other=0.0) / rows
    gamma = tl.load(weight + columns, mask=inside, other=0.0)
    g = _before_relu(gradient, y, at, mask, RELU)
    if ADD:
        tl.store(residual_gradient + at, g, mask=mask)
    normalised = _scaled(x, at, mask, centre, factor)
    out = (g - shift[None, :] - normalised * slope[None, :]) * (factor * gamma)[None, :]
    tl.store(x_gradient + at, out, mask=mask)
