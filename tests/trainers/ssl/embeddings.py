"""Embeddings of unit length, and the softmax written plainly, for tests of losses."""

import math

import torch
from torch.nn.functional import normalize

N, C, K = 5, 7, 12


def unit(*shape, seed=0, dim=1, dtype=torch.float64):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=dim)


def softmax(row):
    exponentials = [math.exp(value) for value in row]
    return [value / sum(exponentials) for value in exponentials]
