"""Random colours, planes, masks and shapes that generic images are made of."""

import cv2
import numpy as np

from trainers.data.synthetic.paint import fractal_noise

SUBPIXEL_BITS = 4


def background(generator: np.random.Generator, size: int) -> np.ndarray:
    """A plain colour, a gradient or coarse noise between two colours."""
    first, second = np.array(colour(generator)), np.array(colour(generator))
    kind = generator.integers(3)
    if kind == 0:
        return np.full((size, size, 3), first, np.uint8)
    if kind == 1:
        x, _ = plane(generator, size)
        share = np.clip(0.5 + 0.5 * x, 0, 1)
    else:
        share = np.clip(0.5 + 0.25 * fractal_noise(generator, size, size, size * generator.uniform(0.1, 0.6), 3), 0, 1)
    image: np.ndarray = (first + share[..., None] * (second - first)).astype(np.uint8)
    return image


def plane(generator: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates from −1 to 1 in a randomly turned frame, float32, size×size."""
    turn = generator.uniform(0, 2 * np.pi)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    line = np.linspace(-1, 1, size, dtype=np.float32)
    return line * cosine + line[:, None] * sine, line[:, None] * cosine - line * sine


def step(generator: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """A wave as a mask, hard or soft."""
    mask: np.ndarray = np.clip(0.5 + wave * generator.choice([0.5, 2.0, 12.0]) + generator.uniform(-0.3, 0.3), 0, 1)
    return mask


def blended(image: np.ndarray, colour: tuple[int, int, int], share: np.ndarray) -> np.ndarray:
    """The image (N×N×3, uint8) with a share (N×N, 0–1) of a colour in every pixel."""
    share = cv2.merge([share.astype(np.float32)] * 3)
    blend: np.ndarray = (image + share * (np.array(colour, np.float32) - image)).astype(np.uint8)
    return blend


def fill(generator: np.random.Generator, image: np.ndarray, outline: np.ndarray) -> None:
    """Fills a shape of about unit radius at a random place, size, turn and stretch; sometimes with an edge."""
    size = len(image)
    turn = generator.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    scale = size * generator.uniform(0.08, 0.42) * np.array([1, generator.uniform(0.4, 1)])
    points = fixed((outline * scale) @ rotation + generator.uniform(0.1, 0.9, 2) * size)
    cv2.fillPoly(image, [points], colour(generator), cv2.LINE_AA, SUBPIXEL_BITS)
    if generator.random() < 0.4:
        thickness = int(generator.integers(1, max(2, size // 20)))
        cv2.polylines(image, [points], True, colour(generator), thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def fixed(points: np.ndarray) -> np.ndarray:
    """Points in OpenCV's fixed-point numbers."""
    rounded: np.ndarray = np.rint(points * 2**SUBPIXEL_BITS).astype(np.int32)
    return rounded


def colour(generator: np.random.Generator) -> tuple[int, int, int]:
    """A random RGB colour, grey or saturated."""
    red, green, blue = generator.integers(0, 256, 3)
    if generator.random() < 0.2:
        red, green, blue = red, red, red
    return int(red), int(green), int(blue)
