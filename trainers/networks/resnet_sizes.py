"""Sizes of ResNets by arithmetic: plans need them of many networks, and building one takes torchvision."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

SMALL_BLOCKS, BASIC_BLOCKS, BOTTLENECK_BLOCKS = (1, 1, 1, 1), (2, 2, 2, 2), (3, 4, 6, 3)
EXPANSION = 4
"""Channels that a bottleneck gives, over those inside it."""


def num_numbers(architecture: Literal["resnet50", "resnet18", "resnet10"], width: int) -> int:
    """Numbers in all tensors of a network up to its pooled features, those of normalisation counted.

    Args:
        architecture: of `Backbone`.
        width: channels of the first stage.
    """
    if architecture == "resnet10":
        return _convolution(3, width, 3) + sum(_basic(*shape) for shape in _shapes(width, SMALL_BLOCKS, 1))
    stem = _convolution(3, width, 7)
    if architecture == "resnet18":
        return stem + sum(_basic(*shape) for shape in _shapes(width, BASIC_BLOCKS, 1))
    return stem + sum(_bottleneck(*shape) for shape in _shapes(width, BOTTLENECK_BLOCKS, EXPANSION))


def _shapes(width: int, blocks: tuple[int, ...], expansion: int) -> Iterator[tuple[int, int]]:
    """Channels that every block takes and gives, from the first to the last."""
    stages = [width * 2**stage for stage in range(len(blocks))]
    given = [expansion * inside for inside, number in zip(stages, blocks, strict=True) for _ in range(number)]
    return pairwise((width, *given))


def _basic(taken: int, given: int) -> int:
    shortcut = _convolution(taken, given, 1) if taken != given else 0
    return _convolution(taken, given, 3) + _convolution(given, given, 3) + shortcut


def _bottleneck(taken: int, given: int) -> int:
    inside = given // EXPANSION
    shortcut = _convolution(taken, given, 1) if taken != given else 0
    return _convolution(taken, inside, 1) + _convolution(inside, inside, 3) + _convolution(inside, given, 1) + shortcut


def _convolution(taken: int, given: int, side: int) -> int:
    """Of a convolution without bias, and of the normalisation behind it: scale, shift, two statistics, a counter."""
    return taken * given * side * side + 4 * given + 1
