"""Patterns of generic images, each a class of them."""

from collections.abc import Callable

import cv2
import numpy as np

from trainers.data.synthetic.brushes import SUBPIXEL_BITS, background, blended, colour, fill, fixed, plane, step
from trainers.data.synthetic.paint import fractal_noise, lobes


def _polygons(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    for _ in range(generator.integers(1, 6)):
        turns = np.sort(generator.uniform(0, 2 * np.pi, generator.integers(3, 8)))
        fill(generator, image, np.stack([np.cos(turns), np.sin(turns)], 1))
    return image


def _ellipses(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for _ in range(generator.integers(1, 7)):
        fill(generator, image, np.stack([np.cos(turns), np.sin(turns)], 1))
    return image


def _stars(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    for _ in range(generator.integers(1, 5)):
        num_points = int(generator.integers(4, 10))
        turns = np.linspace(0, 2 * np.pi, 2 * num_points, endpoint=False)
        radii = np.where(np.arange(2 * num_points) % 2, generator.uniform(0.25, 0.7), 1.0)
        fill(generator, image, np.stack([radii * np.cos(turns), radii * np.sin(turns)], 1))
    return image


def _blobs(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    for _ in range(generator.integers(1, 5)):
        radii = np.ones(48)
        for wave in range(2, 6):
            radii += generator.normal(0, 0.35 / wave) * np.sin(wave * turns + generator.uniform(0, 6.3))
        fill(generator, image, np.stack([radii * np.cos(turns), radii * np.sin(turns)], 1))
    return image


def _stripes(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = plane(generator, len(image))
    frequency = generator.uniform(2, 9)
    wave = np.sin(2 * np.pi * frequency * (x + generator.uniform(0, 0.15) * np.sin(generator.uniform(2, 7) * y)))
    return blended(image, colour(generator), step(generator, wave))


def _checkerboard(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = plane(generator, len(image))
    frequency = generator.uniform(1.5, 5)
    wave = np.sin(2 * np.pi * frequency * x) * np.sin(2 * np.pi * frequency * generator.uniform(0.6, 1.6) * y)
    return blended(image, colour(generator), step(generator, wave))


def _rings(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = plane(generator, len(image))
    x, y = x - generator.normal(0, 0.25), y - generator.normal(0, 0.25)
    spiral = generator.integers(-3, 4) * np.arctan2(y, x)
    wave = np.sin(2 * np.pi * generator.uniform(2, 7) * np.hypot(x, y) + spiral)
    return blended(image, colour(generator), step(generator, wave))


def _noise(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = len(image)
    stretch = float(generator.choice([1.0, 1.0, 3.0, 6.0]))
    noise = fractal_noise(generator, size, size, size * generator.uniform(0.05, 0.5), 3, stretch)
    if stretch > 1 and generator.random() < 0.5:
        noise = np.ascontiguousarray(noise.T)
    return blended(image, colour(generator), step(generator, noise))


def _cells(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = len(image)
    heights = lobes(generator, size, size, size * generator.uniform(0.08, 0.3))
    image = blended(image, colour(generator), heights / heights.max())
    if generator.random() < 0.5:
        image = blended(image, colour(generator), (heights < 0.45 * heights.max()).astype(np.float32))
    return image


def _lines(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size, closed = len(image), bool(generator.random() < 0.2)
    for _ in range(generator.integers(2, 9)):
        steps = generator.normal(0, size * generator.uniform(0.03, 0.2), (generator.integers(2, 14), 2))
        points = np.cumsum(steps, 0) + generator.uniform(0, size, 2)
        thickness = int(generator.integers(1, max(2, size // 14)))
        cv2.polylines(image, [fixed(points)], closed, colour(generator), thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    return image


def _iterated(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The attractor of a random iterated function system, as a cloud of points followed in parallel."""
    size, num_maps = len(image), int(generator.integers(2, 5))
    matrices = generator.uniform(-0.75, 0.75, (num_maps, 2, 2))
    shifts = generator.uniform(-0.8, 0.8, (num_maps, 2))
    points = generator.uniform(-1, 1, (1500, 2))
    for _ in range(9):
        chosen = generator.integers(num_maps, size=len(points))
        points = np.einsum("nij,nj->ni", matrices[chosen], points) + shifts[chosen]
    low, high = np.quantile(points, [0.03, 0.97], axis=0)
    scaled = (points - low) / np.maximum(high - low, 1e-6) * 0.84 * size + 0.08 * size
    columns, rows = np.clip(scaled.astype(int), 0, size - 1).T
    cloud = np.bincount(rows * size + columns, minlength=size * size).reshape(size, size).astype(np.float32)
    return blended(image, colour(generator), np.clip(cv2.GaussianBlur(cloud, (0, 0), 0.7) * 1.8, 0, 1))


def _julia(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = plane(generator, len(image) // 2)
    angle = generator.uniform(0, 2 * np.pi)
    cardioid = 0.5 * np.exp(1j * angle) - 0.25 * np.exp(2j * angle)  # the Mandelbrot set's border: the finest shapes
    constant = cardioid * generator.uniform(1.0, 1.12)
    z = (x + 1j * y).astype(np.complex64) * np.float32(generator.uniform(0.9, 2.2))
    escape, inside = np.zeros(z.shape, np.float32), np.ones(z.shape, bool)
    for _ in range(14):
        z = z * z + np.complex64(constant)
        inside &= np.abs(z) < 2
        escape += inside
        z[~inside] = 0
    share = (escape - escape.min()) / max(1.0, float(np.ptp(escape)))
    smooth = cv2.resize(share, image.shape[:2], interpolation=cv2.INTER_CUBIC)
    return blended(image, colour(generator), np.clip(smooth, 0, 1))


def _collage(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = len(image)
    others = [name for name in CLASSES if name != "collage"]
    for _ in range(generator.integers(2, 5)):
        side = int(generator.uniform(0.3, 0.6) * size)
        left, top = generator.integers(0, size - side, 2)
        patch = background(generator, side)
        image[top : top + side, left : left + side] = PATTERNS[others[generator.integers(len(others))]](
            generator, patch
        )
    return image


PATTERNS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "polygons": _polygons,
    "ellipses": _ellipses,
    "stars": _stars,
    "blobs": _blobs,
    "stripes": _stripes,
    "checkerboard": _checkerboard,
    "rings": _rings,
    "noise": _noise,
    "cells": _cells,
    "lines": _lines,
    "iterated": _iterated,
    "julia": _julia,
    "collage": _collage,
}
CLASSES = tuple(PATTERNS)
"""Names of the kinds of images; labels index them."""
