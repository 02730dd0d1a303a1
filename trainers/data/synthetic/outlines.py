"""Shapes of drawn things: masks of a random kind, N×N, uint8, at a place and of a size."""

from collections.abc import Callable

import cv2
import numpy as np

from trainers.data.synthetic.paint import curve
from trainers.data.synthetic.smooth_textures import noise

Outline = Callable[[np.random.Generator, int, np.ndarray, float], np.ndarray]
"""A mask from a generator, the image's side, its middle, and its radius, in pixels."""
BITS = 4
TAU = 2 * np.pi


def _filled(size: int, points: np.ndarray) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 2**BITS).astype(np.int32)], (255,), cv2.LINE_AA, BITS)
    return mask


def _drawn(size: int, lines: list[np.ndarray], thickness: float, *, closed: bool = False) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    fixed = [np.rint(points * 2**BITS).astype(np.int32) for points in lines]
    cv2.polylines(mask, fixed, closed, (255,), max(1, round(thickness)), cv2.LINE_AA, BITS)
    return mask


def _around(radii: np.ndarray, generator: np.random.Generator, middle: np.ndarray, radius: float) -> np.ndarray:
    """Points around a middle, turned and squeezed."""
    turns = np.arange(len(radii)) * (TAU / len(radii))
    points = np.stack([radii * np.cos(turns), radii * np.sin(turns) * generator.uniform(0.4, 1)], 1)
    placed: np.ndarray = _turned(points * radius, generator.uniform(0, TAU)) + middle
    return placed


def _turned(points: np.ndarray, turn: float) -> np.ndarray:
    cosine, sine = np.cos(turn), np.sin(turn)
    turned: np.ndarray = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _polygon(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    radii = generator.uniform(0.7, 1.1, int(generator.integers(3, 8)))
    return _filled(size, _around(radii, generator, middle, radius))


def _ellipse(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    return _filled(size, _around(np.ones(36), generator, middle, radius))


def _star(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    count = int(generator.integers(4, 12))
    return _filled(size, _around(np.tile([1, generator.uniform(0.3, 0.8)], count), generator, middle, radius))


def _blob(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    turns = np.arange(48) * (TAU / 48)
    waves = np.arange(2, 7)
    heights = generator.normal(0, 0.35, 5) / waves
    radii = 1 + np.cos(turns[:, None] * waves + generator.uniform(0, TAU, 5)) @ heights
    return _filled(size, _around(radii, generator, middle, radius))


def _rod(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """A straight bar, often longer than the image, with a blunt, pointed or forked end."""
    half, length = radius * generator.uniform(0.12, 0.4), radius * generator.uniform(1.5, 6)
    tip = half * generator.uniform(0, 3)
    end = ([[tip, 0]], [[tip, half], [0, 0], [tip, -half]], [[0, 0]])[generator.integers(3)]
    points = np.array([[-length, -half], [-length, half], [0, half], *end, [0, -half]])
    return _filled(size, _turned(points, generator.uniform(0, TAU)) + middle)


def _box(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (radius, radius * generator.uniform(0.3, 1))
    points[:2, 0] *= generator.uniform(0.6, 1)
    return _filled(size, _turned(points, generator.uniform(0, TAU)) + middle)


def _tube(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """A thick line along a smooth curve, as hoses, ropes and worms are."""
    steps = generator.normal(0, radius, (int(generator.integers(3, 7)), 2)) + generator.normal(0, radius * 0.6, 2)
    points = np.cumsum(steps, 0)
    points += middle - points.mean(0)
    return _drawn(
        size, [curve([(a, b) for a, b in points.tolist()], closed=False)], radius * generator.uniform(0.15, 0.7)
    )


def _ring(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    points = _around(np.ones(32), generator, middle, radius)
    return _drawn(size, [points], radius * generator.uniform(0.12, 0.5), closed=True)


def _crescent(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    mask = _filled(size, _around(np.ones(32), generator, middle, radius))
    shift = _turned(np.array([[radius * generator.uniform(0.3, 0.9), 0]]), generator.uniform(0, TAU))[0]
    other = _filled(size, _around(np.ones(32), generator, middle + shift, radius))
    return cv2.subtract(mask, other)


def _cross(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    turns = generator.uniform(0, TAU) + np.arange(int(generator.integers(3, 6))) * generator.uniform(0.6, 1.6)
    ends = np.stack([np.cos(turns), np.sin(turns)], 1) * radius
    return _drawn(size, [np.stack([middle, middle + end]) for end in ends], radius * generator.uniform(0.12, 0.5))


def _tree(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """Branches of branches, as rivers, roots and lightning have them."""
    mask = np.zeros((size, size), np.uint8)
    tips = [(float(middle[0]), float(middle[1]), float(generator.uniform(0, TAU)))]
    spread, length = generator.uniform(0.3, 0.9), radius
    thickness = max(1.0, radius * float(generator.uniform(0.1, 0.35)))
    for _ in range(4):
        grown = []
        bends = generator.normal(0, 0.25, (len(tips), 2)).tolist()
        for (a, b, turn), (left, right) in zip(tips, bends, strict=True):
            end = a + length * np.cos(turn), b + length * np.sin(turn)
            line = [int(each * 2**BITS) for each in (a, b, *end)]
            cv2.line(mask, (line[0], line[1]), (line[2], line[3]), (255,), max(1, round(thickness)), cv2.LINE_AA, BITS)
            grown += [(*end, turn + spread + left), (*end, turn - spread + right)]
        tips, length, thickness = grown, length * 0.72, thickness * 0.7
    return mask


def _ragged(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """What noise leaves of a disc, as stains, clouds and moss are."""
    line = np.arange(size, dtype=np.float32)
    away = np.hypot(line - np.float32(middle[0]), line[:, None] - np.float32(middle[1])) * np.float32(1 / radius)
    field = noise(generator, size, radius * generator.uniform(0.3, 1), 3) * generator.uniform(0.2, 0.5)
    left: np.ndarray = np.clip((1 - away + field) * generator.uniform(200, 1500), 0, 255).astype(np.uint8)
    return left


def _cluster(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """Many small discs beside each other, as grapes, pebbles and foam are."""
    mask = np.zeros((size, size), np.uint8)
    count = int(generator.integers(4, 16))
    places = generator.normal(0, 0.5 * radius, (count, 2)) + middle
    radii = np.maximum(radius * generator.uniform(0.15, 0.4, count), 0.8)
    for (a, b), each in zip(places.tolist(), radii.tolist(), strict=True):
        cv2.circle(mask, (int(a * 16), int(b * 16)), int(each * 16), (255,), -1, cv2.LINE_AA, BITS)
    return mask


def _net(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    count, turn = int(generator.integers(2, 6)), generator.uniform(0, TAU)
    steps = np.linspace(-radius, radius, count)
    lines = [np.array([[-radius, each], [radius, each]]) for each in steps]
    lines += [each[:, ::-1] for each in lines] if generator.random() < 0.6 else []
    return _drawn(size, [_turned(each, turn) + middle for each in lines], radius * generator.uniform(0.06, 0.25))


def _sign(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """A few strokes on a grid of points, as letters are."""
    places = generator.integers(-1, 2, (int(generator.integers(2, 5)), 3, 2)) * (0.6 * radius)
    strokes = [each + middle for each in _turned(places.reshape(-1, 2), generator.normal(0, 0.5)).reshape(-1, 3, 2)]
    return _drawn(size, strokes, radius * generator.uniform(0.08, 0.3))


def _leaf(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    t = np.linspace(0, np.pi, 18)
    width, bend = generator.uniform(0.15, 0.6), generator.normal(0, 0.3)
    side = width * np.sin(t) ** generator.uniform(0.6, 2)
    spine = bend * np.sin(t)
    upper = np.stack([-np.cos(t), spine + side], 1)
    lower = np.stack([-np.cos(t), spine - side], 1)[::-1]
    return _filled(size, _turned(np.concatenate([upper, lower]) * radius, generator.uniform(0, TAU)) + middle)


def _swarm(generator: np.random.Generator, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    """The same small shape again and again in a row or an arc."""
    count, bend = int(generator.integers(3, 8)), generator.normal(0, 0.3)
    shape = _around(generator.uniform(0.5, 1, int(generator.integers(3, 9))), generator, np.zeros(2), radius * 0.3)
    turn, step, mask = generator.uniform(0, TAU), radius * generator.uniform(0.4, 0.8), np.zeros((size, size), np.uint8)
    place = middle - 0.5 * count * step * np.array([np.cos(turn), np.sin(turn)])
    for _ in range(count):
        cv2.fillPoly(mask, [np.rint((shape + place) * 2**BITS).astype(np.int32)], (255,), cv2.LINE_AA, BITS)
        place, turn = place + step * np.array([np.cos(turn), np.sin(turn)]), turn + bend
    return mask


OUTLINES: dict[str, Outline] = {
    function.__name__[1:]: function
    for function in (
        _polygon,
        _ellipse,
        _star,
        _blob,
        _rod,
        _box,
        _tube,
        _ring,
        _crescent,
        _cross,
        _tree,
        _ragged,
        _cluster,
        _net,
        _sign,
        _leaf,
        _swarm,
    )
}
"""Masks by the names of their kinds."""
