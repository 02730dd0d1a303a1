"""Textures of many parts at random places: fields N×N, from 0 to 1."""

import cv2
import numpy as np

from trainers.data.synthetic.brushes import plane
from trainers.data.synthetic.paint import lobes
from trainers.data.synthetic.smooth_textures import clipped, stretched

TAU = 2 * np.pi


def _cells(generator: np.random.Generator, size: int) -> np.ndarray:
    return stretched(lobes(generator, size, size, size * generator.uniform(0.06, 0.35)))


def _voronoi(generator: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Distances to random points, the nearest point of every pixel, and the number of points."""
    count = int(1 / generator.uniform(0.08, 0.4) ** 2) + 2
    far = np.full((size, size), 255, np.uint8)
    far[generator.integers(0, size, count), generator.integers(0, size, count)] = 0
    distance, nearest = cv2.distanceTransformWithLabels(far, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return distance, nearest, count


def _mosaic(generator: np.random.Generator, size: int) -> np.ndarray:
    _, nearest, count = _voronoi(generator, size)
    values: np.ndarray = generator.random(count + 1, np.float32)[nearest]
    return values


def _cracks(generator: np.random.Generator, size: int) -> np.ndarray:
    _, nearest, _ = _voronoi(generator, size)
    labels = nearest.astype(np.float32)
    lines = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    return cv2.GaussianBlur((lines > 0).astype(np.float32), (0, 0), generator.uniform(0.4, 1.2))


def _facets(generator: np.random.Generator, size: int) -> np.ndarray:
    """The upper side of many planes, as crumpled paper or cut stone has it."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    slopes = generator.normal(0, 1, (int(generator.integers(4, 12)), 3)).astype(np.float32)
    planes = slopes[:, :1, None] * line + slopes[:, 1:2, None] * line[:, None] + slopes[:, 2:, None]
    return stretched(np.sort(planes, 0)[-1 - int(generator.integers(3))])


def _dots(generator: np.random.Generator, size: int) -> np.ndarray:
    image = np.zeros((size, size), np.uint8)
    radius = generator.uniform(0.02, 0.09) * size
    places = generator.uniform(0, size, (int(generator.integers(8, 60)), 2))
    sizes = radius * generator.uniform(0.4, 1.4, len(places))
    for (x, y), each in zip((places * 16).astype(int).tolist(), (sizes * 16).astype(int).tolist(), strict=True):
        cv2.circle(image, (x, y), each, (255,), -1, cv2.LINE_AA, 4)
    return image.astype(np.float32) / 255


def _julia(generator: np.random.Generator, size: int) -> np.ndarray:
    x, y = plane(generator, size // 2)
    angle = generator.uniform(0, TAU)
    border = 0.5 * np.exp(1j * angle) - 0.25 * np.exp(2j * angle)  # the Mandelbrot set's: the finest shapes
    constant = np.complex64(border * generator.uniform(1.0, 1.12))
    z = (x + 1j * y).astype(np.complex64) * np.float32(generator.uniform(0.7, 2.0))
    escape: np.ndarray = np.zeros(z.shape, np.float32)
    for _ in range(12):
        z = z * z + constant
        inside = z.real * z.real + z.imag * z.imag < 4
        escape += inside
        z *= inside
    return clipped(cv2.resize(stretched(escape), (size, size), interpolation=cv2.INTER_CUBIC))


def _flame(generator: np.random.Generator, size: int) -> np.ndarray:
    """The attractor of an iterated function system, as a cloud of points followed in parallel."""
    matrices = generator.uniform(-0.8, 0.8, (int(generator.integers(2, 5)), 2, 3)).astype(np.float32)
    points = generator.uniform(-1, 1, (900, 2)).astype(np.float32)
    for _ in range(8):
        chosen = matrices[generator.integers(len(matrices), size=len(points))]
        points = chosen[:, :, 0] * points[:, :1] + chosen[:, :, 1] * points[:, 1:] + chosen[:, :, 2]
    centre, spread = points.mean(0), points.std(0) + 1e-3
    pixels = np.clip(((points - centre) / spread * 0.24 + 0.5) * size, 0, size - 1).astype(np.int32)
    cloud = np.bincount(pixels[:, 1] * size + pixels[:, 0], minlength=size * size).reshape(size, size)
    return clipped(cv2.GaussianBlur(cloud.astype(np.float32), (0, 0), generator.uniform(0.6, 1.2)) * 1.5)


def _scribble(generator: np.random.Generator, size: int) -> np.ndarray:
    image = np.zeros((size, size), np.uint8)
    thickness = int(generator.integers(1, max(2, size // 16)))
    for _ in range(int(generator.integers(1, 7))):
        steps = generator.normal(0, size * generator.uniform(0.04, 0.2), (int(generator.integers(4, 20)), 2))
        points = np.cumsum(steps, 0) + generator.uniform(0, size, 2)
        cv2.polylines(image, [(points * 16).astype(np.int32)], False, (255,), thickness, cv2.LINE_AA, 4)
    return image.astype(np.float32) / 255


def _confetti(generator: np.random.Generator, size: int) -> np.ndarray:
    """Rectangles of all sizes that cover each other, as fallen leaves do."""
    image = np.full((size, size), 128, np.uint8)
    count = int(generator.integers(10, 40))
    sides = size * 0.04 / generator.uniform(0.08, 1, (count, 2))
    turns, places, tones = (
        generator.uniform(0, 180, count),
        generator.uniform(0, size, (count, 2)),
        generator.random(count),
    )
    for place, side, turn, tone in zip(places.tolist(), sides.tolist(), turns.tolist(), tones.tolist(), strict=True):
        corners = cv2.boxPoints((place, side, turn))
        cv2.fillConvexPoly(image, (corners * 16).astype(np.int32), (int(255 * tone),), cv2.LINE_AA, 4)
    return image.astype(np.float32) / 255


SCATTERED = {
    function.__name__[1:]: function
    for function in (
        _cells,
        _mosaic,
        _cracks,
        _facets,
        _dots,
        _julia,
        _flame,
        _scribble,
        _confetti,
    )
}
"""Textures of many parts by their names."""
