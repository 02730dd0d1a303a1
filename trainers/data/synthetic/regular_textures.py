"""Textures that repeat: fields N×N, about from 0 to 1."""

import numpy as np

from trainers.data.synthetic.brushes import plane
from trainers.data.synthetic.smooth_textures import clipped, edged, noise, stretched, wave

TAU = 2 * np.pi


def _rings(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    x, y = x - generator.normal(0, 0.5), y * generator.uniform(0.5, 1.5) - generator.normal(0, 0.5)
    bent = noise(generator, size, size * 0.4, 2) * generator.uniform(0, 1.2)
    spiral = (0, 0, 1, 2, 3)[generator.integers(5)] * np.arctan2(y, x)
    return edged(generator, wave(generator.uniform(6, 34) * np.hypot(x, y) + spiral + bent))


def _stripes(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    bend = generator.uniform(0, 0.25) * np.sin(generator.uniform(1, 6) * y + generator.uniform(0, TAU))
    return edged(generator, wave(generator.uniform(6, 45) * (x + bend)))


def _weave(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    frequency = generator.uniform(6, 40)
    across = edged(generator, wave(frequency * x))
    along = edged(generator, wave(frequency * generator.uniform(0.5, 2) * y))
    woven: np.ndarray = (np.maximum(across, along), across * along, 0.5 * (across + along))[generator.integers(3)]
    return woven


def _checks(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    frequency = generator.uniform(4, 18)
    product = np.sin(frequency * x) * np.sin(frequency * generator.uniform(0.5, 2) * y + generator.uniform(0, 1) * x)
    return clipped(0.5 + generator.uniform(0.6, 8) * product)


def _lattice(generator: np.random.Generator, size: int) -> np.ndarray:
    """Waves in three directions that meet in a honeycomb, or in more that never repeat."""
    x, y = plane(generator, size)
    count, frequency = int(generator.integers(3, 8)), generator.uniform(8, 36)
    total: np.ndarray = np.zeros_like(x)
    for turn in np.arange(count) * np.pi / count:
        total += np.cos(np.float32(frequency) * (x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))))
    return edged(generator, stretched(total))


def _interference(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    total: np.ndarray = np.zeros_like(x)
    for _ in range(3):
        a, b, frequency = generator.normal(0, 0.8), generator.normal(0, 0.8), generator.uniform(6, 30)
        total += np.cos(np.float32(frequency) * np.hypot(x - a, y - b))
    return stretched(total)


def _gabors(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    total: np.ndarray = np.zeros_like(x)
    for _ in range(int(generator.integers(2, 6))):
        a, b, turn = *generator.uniform(-1, 1, 2), generator.uniform(0, TAU)
        u = (x - a) * np.float32(np.cos(turn)) + (y - b) * np.float32(np.sin(turn))
        near = np.exp(-np.float32(generator.uniform(3, 14)) * ((x - a) ** 2 + (y - b) ** 2))
        total += near * np.sin(np.float32(generator.uniform(8, 40)) * u)
    return clipped(0.5 + 0.5 * total)


def _halftone(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    frequency = generator.uniform(10, 40)
    grid = np.cos(frequency * x) + np.cos(frequency * y)
    return clipped(0.5 + 2 * (grid * 0.5 + 0.7 * noise(generator, size, size * 0.5, 1)))


def _bricks(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    rows = y * np.float32(generator.uniform(2, 7))
    row = np.floor(rows)
    columns = x * np.float32(generator.uniform(1, 4)) + np.float32(0.5) * (row % 2)
    gap = generator.uniform(0.04, 0.14)
    solid = np.minimum(np.minimum(rows - row, row + 1 - rows), 2 * np.abs(columns - np.floor(columns) - 0.5))
    tone = 0.75 + 0.25 * np.sin(row * 12.9898 + np.floor(columns) * 78.233)
    return clipped((solid - gap) * 12) * tone


def _scales(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size)
    frequency = generator.uniform(3, 10)
    row = np.floor(y * frequency)
    column = x * np.float32(frequency) + np.float32(0.5) * (row % 2)
    u, v = column - np.floor(column) - 0.5, y * frequency - row
    return clipped(np.hypot(u * 1.2, v))


REGULAR = {
    function.__name__[1:]: function
    for function in (
        _rings,
        _stripes,
        _weave,
        _checks,
        _lattice,
        _interference,
        _gabors,
        _halftone,
        _bricks,
        _scales,
    )
}
"""Textures that repeat, or nearly, by their names."""
