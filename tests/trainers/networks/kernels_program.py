"""Compares the kernels of batch normalisation, in Triton's interpreter, with torch's normalisation of every part.

Runs in a process of its own: the interpreter is chosen when Triton is imported.
"""

import os
import sys
from itertools import product

os.environ["TRITON_INTERPRET"] = "1"

import torch
import torch.nn.functional as F

from trainers.networks.fused_batch_norm import SplitBatchNorm

SHAPES = [(8, 8, 3, 5), (4, 160, 3, 2), (8, 5, 1, 2)]
"""Fewer columns than a tile has, more of them, and a number that is no power of two."""


def by_torch(x, weight, bias, residual, mean, variance, parts, first, relu):
    means, variances = mean.repeat(parts, 1), variance.repeat(parts, 1)
    y = torch.cat(
        [
            F.batch_norm(part, means[index], variances[index], weight, bias, True, 0.1, 1e-5)
            for index, part in enumerate(x.chunk(parts))
        ]
    )
    y = y if residual is None else y + residual
    statistics = (means[0], variances[0]) if first else (means.mean(0), variances.mean(0))
    return (F.relu(y) if relu else y), *statistics


def compare(shape, parts, first, relu, adds):
    generator = torch.Generator().manual_seed(parts)
    channels = shape[1]
    x = (torch.randn(shape, generator=generator) * 2 + 3).contiguous(memory_format=torch.channels_last)
    weight, bias, gradient = (torch.randn(size, generator=generator) for size in (channels, channels, shape))
    residual = torch.randn(shape, generator=generator) if adds else None
    results = []
    for dtype in (torch.float32, torch.float64):
        inputs = [each.to(dtype).requires_grad_() for each in (x, weight, bias, *([residual] if adds else []))]
        extra = inputs[3] if adds else None
        mean, variance = torch.zeros(channels, dtype=dtype), torch.ones(channels, dtype=dtype)
        if dtype == torch.float32:
            y = SplitBatchNorm.apply(*inputs[:3], extra, mean, variance, parts, first, 0.1, 1e-5, relu)
        else:
            y, mean, variance = by_torch(*inputs[:3], extra, mean, variance, parts, first, relu)
        results.append([y.detach(), mean, variance, *torch.autograd.grad(y, inputs, gradient.to(dtype))])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=2e-4, atol=2e-5)


if __name__ == "__main__":
    cases = product(SHAPES, (1, 4), ((False, False), (True, False), (True, True)))
    for number, (shape, parts, (relu, adds)) in enumerate(cases):
        # `first` is for the kernel of statistics alone, `relu` and `adds` are for the others: every pair of values.
        compare(shape, parts, first=bool(number % 2), relu=relu, adds=adds)
    sys.exit(0)
