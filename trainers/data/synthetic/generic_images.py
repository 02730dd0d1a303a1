"""Generic, non-surgical images drawn from a seed: what the stand-in for public weights is trained on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from trainers.data.frames import Frame, FrameSource, write_frames
from trainers.data.synthetic.paint import fractal_noise, lobes
from trainers.runtime.randomness import numpy_generator
from trainers.stage import InputError, Work

SUBPIXEL_BITS = 4
SECONDS_PER_IMAGE_AT_80_PX = 0.0007
MIN_SIZE_PX = 16


@dataclass(frozen=True)
class GenericImages(FrameSource):
    """A frame store of procedurally generated images; an image depends on the seed and its index alone."""

    num_images: int
    size_px: int
    seed: int = 0

    @property
    def num_source_frames(self) -> int:
        return self.num_images

    def run(self, work: Work) -> None:
        if self.num_images < 1 or self.size_px < MIN_SIZE_PX:
            raise InputError(
                f"GenericImages asks for {self.num_images} images of {self.size_px} px: "
                f"at least one image of {MIN_SIZE_PX} px is needed"
            )
        cv2.setNumThreads(0)
        source = f"generic-{self.seed}-{self.size_px}"
        write_frames(work.output, self._frames(), source=source, label_names=CLASSES)

    def expected_seconds(self) -> float:
        return 0.5 + self.num_images * SECONDS_PER_IMAGE_AT_80_PX * (self.size_px / 80) ** 2

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.num_images):
            image, label = draw(self.seed, index, self.size_px)
            yield Frame(index, label, image)


def draw(seed: int, index: int, size_px: int) -> tuple[np.ndarray, int]:
    """Draws one generic image.

    Args:
        seed: of the set of images.
        index: of the image in the set.
        size_px: its width and height.

    Returns:
        The RGB image (size_px×size_px×3, uint8) and the index of its class in `CLASSES`.
    """
    generator = numpy_generator(seed, "generic", index)
    label = int(generator.integers(len(CLASSES)))
    image = _background(generator, size_px)
    image = _GENERATORS[CLASSES[label]](generator, image)
    return _lit(generator, image), label


def _polygons(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    for _ in range(generator.integers(1, 6)):
        turns = np.sort(generator.uniform(0, 2 * np.pi, generator.integers(3, 8)))
        _fill(generator, image, np.stack([np.cos(turns), np.sin(turns)], 1))
    return image


def _ellipses(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for _ in range(generator.integers(1, 7)):
        _fill(generator, image, np.stack([np.cos(turns), np.sin(turns)], 1))
    return image


def _stars(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    for _ in range(generator.integers(1, 5)):
        num_points = int(generator.integers(4, 10))
        turns = np.linspace(0, 2 * np.pi, 2 * num_points, endpoint=False)
        radii = np.where(np.arange(2 * num_points) % 2, generator.uniform(0.25, 0.7), 1.0)
        _fill(generator, image, np.stack([radii * np.cos(turns), radii * np.sin(turns)], 1))
    return image


def _blobs(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    for _ in range(generator.integers(1, 5)):
        radii = np.ones(48)
        for wave in range(2, 6):
            radii += generator.normal(0, 0.35 / wave) * np.sin(wave * turns + generator.uniform(0, 6.3))
        _fill(generator, image, np.stack([radii * np.cos(turns), radii * np.sin(turns)], 1))
    return image


def _stripes(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = _plane(generator, len(image))
    frequency = generator.uniform(2, 9)
    wave = np.sin(2 * np.pi * frequency * (x + generator.uniform(0, 0.15) * np.sin(generator.uniform(2, 7) * y)))
    return _blended(image, _colour(generator), _step(generator, wave))


def _checkerboard(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = _plane(generator, len(image))
    frequency = generator.uniform(1.5, 5)
    wave = np.sin(2 * np.pi * frequency * x) * np.sin(2 * np.pi * frequency * generator.uniform(0.6, 1.6) * y)
    return _blended(image, _colour(generator), _step(generator, wave))


def _rings(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = _plane(generator, len(image))
    x, y = x - generator.normal(0, 0.25), y - generator.normal(0, 0.25)
    spiral = generator.integers(-3, 4) * np.arctan2(y, x)
    wave = np.sin(2 * np.pi * generator.uniform(2, 7) * np.hypot(x, y) + spiral)
    return _blended(image, _colour(generator), _step(generator, wave))


def _noise(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = len(image)
    stretch = float(generator.choice([1.0, 1.0, 3.0, 6.0]))
    noise = fractal_noise(generator, size, size, size * generator.uniform(0.05, 0.5), 3, stretch)
    if stretch > 1 and generator.random() < 0.5:
        noise = np.ascontiguousarray(noise.T)
    return _blended(image, _colour(generator), _step(generator, noise))


def _cells(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = len(image)
    heights = lobes(generator, size, size, size * generator.uniform(0.08, 0.3))
    image = _blended(image, _colour(generator), heights / heights.max())
    if generator.random() < 0.5:
        image = _blended(image, _colour(generator), (heights < 0.45 * heights.max()).astype(np.float32))
    return image


def _lines(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size, closed = len(image), bool(generator.random() < 0.2)
    for _ in range(generator.integers(2, 9)):
        steps = generator.normal(0, size * generator.uniform(0.03, 0.2), (generator.integers(2, 14), 2))
        points = np.cumsum(steps, 0) + generator.uniform(0, size, 2)
        thickness = int(generator.integers(1, max(2, size // 14)))
        cv2.polylines(image, [_fixed(points)], closed, _colour(generator), thickness, cv2.LINE_AA, SUBPIXEL_BITS)
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
    return _blended(image, _colour(generator), np.clip(cv2.GaussianBlur(cloud, (0, 0), 0.7) * 1.8, 0, 1))


def _julia(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    x, y = _plane(generator, len(image) // 2)
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
    return _blended(image, _colour(generator), np.clip(smooth, 0, 1))


def _collage(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    size = len(image)
    others = [name for name in CLASSES if name != "collage"]
    for _ in range(generator.integers(2, 5)):
        side = int(generator.uniform(0.3, 0.6) * size)
        left, top = generator.integers(0, size - side, 2)
        patch = _background(generator, side)
        image[top : top + side, left : left + side] = _GENERATORS[others[generator.integers(len(others))]](
            generator, patch
        )
    return image


_GENERATORS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
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
CLASSES = tuple(_GENERATORS)
"""Names of the kinds of images; labels index them."""


def _background(generator: np.random.Generator, size: int) -> np.ndarray:
    """A plain colour, a gradient or coarse noise between two colours."""
    first, second = np.array(_colour(generator)), np.array(_colour(generator))
    kind = generator.integers(3)
    if kind == 0:
        return np.full((size, size, 3), first, np.uint8)
    if kind == 1:
        x, _ = _plane(generator, size)
        share = np.clip(0.5 + 0.5 * x, 0, 1)
    else:
        share = np.clip(0.5 + 0.25 * fractal_noise(generator, size, size, size * generator.uniform(0.1, 0.6), 3), 0, 1)
    image: np.ndarray = (first + share[..., None] * (second - first)).astype(np.uint8)
    return image


def _lit(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Uneven light, blur and grain, as photographs have them; each now and then."""
    chance = generator.random(3)
    size = len(image)
    if chance[0] < 0.4:
        x, _ = _plane(generator, size)
        light = np.clip(1 + generator.uniform(0.1, 0.45) * x, 0, 2).astype(np.float32)
        image = cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)
    if chance[1] < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.4, 1.6))
    if chance[2] < 0.35:
        grain = generator.standard_normal(image.shape, np.float32) * np.float32(generator.uniform(3, 12))
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    return image


def _plane(generator: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates from −1 to 1 in a randomly turned frame, float32, size×size."""
    turn = generator.uniform(0, 2 * np.pi)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    line = np.linspace(-1, 1, size, dtype=np.float32)
    return line * cosine + line[:, None] * sine, line[:, None] * cosine - line * sine


def _step(generator: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """A wave as a mask, hard or soft."""
    mask: np.ndarray = np.clip(0.5 + wave * generator.choice([0.5, 2.0, 12.0]) + generator.uniform(-0.3, 0.3), 0, 1)
    return mask


def _blended(image: np.ndarray, colour: tuple[int, int, int], share: np.ndarray) -> np.ndarray:
    share = cv2.merge([share.astype(np.float32)] * 3)
    blend: np.ndarray = (image + share * (np.array(colour, np.float32) - image)).astype(np.uint8)
    return blend


def _fill(generator: np.random.Generator, image: np.ndarray, outline: np.ndarray) -> None:
    """Fills a shape of about unit radius at a random place, size, turn and stretch; sometimes with an edge."""
    size = len(image)
    turn = generator.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    scale = size * generator.uniform(0.08, 0.42) * np.array([1, generator.uniform(0.4, 1)])
    points = _fixed((outline * scale) @ rotation + generator.uniform(0.1, 0.9, 2) * size)
    cv2.fillPoly(image, [points], _colour(generator), cv2.LINE_AA, SUBPIXEL_BITS)
    if generator.random() < 0.4:
        thickness = int(generator.integers(1, max(2, size // 20)))
        cv2.polylines(image, [points], True, _colour(generator), thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _fixed(points: np.ndarray) -> np.ndarray:
    fixed: np.ndarray = np.rint(points * 2**SUBPIXEL_BITS).astype(np.int32)
    return fixed


def _colour(generator: np.random.Generator) -> tuple[int, int, int]:
    """RGB; greys and saturated colours alike."""
    red, green, blue = generator.integers(0, 256, 3)
    if generator.random() < 0.2:
        red, green, blue = red, red, red
    return int(red), int(green), int(blue)
