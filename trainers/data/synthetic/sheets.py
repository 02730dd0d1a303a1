"""Printed sheets over the organs of planted hospitals: a pattern and a hue, drawn apart from each other."""

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

from trainers.data.synthetic.paint import Colour

Plane = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
"""Where a pattern is: a mask of turned coordinates, in half frame heights from the middle."""
NUM_HUES = 5
HUE_SPREAD_DEGREES = 12
OPACITY = 0.85
"""Of the sheet: the organs under it are still seen faintly."""


def _halves(generator: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x + generator.uniform(-0.3, 0.3) > 0


def _disc(generator: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    away = np.hypot(x - generator.uniform(-0.4, 0.4), y - generator.uniform(-0.4, 0.4))
    return away < generator.uniform(0.35, 0.6)


def _stripes(generator: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sin(generator.uniform(6.8, 9.2) * x + generator.uniform(0, 6)) > 0


def _checks(generator: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    frequency = generator.uniform(30.6, 41.4)
    return np.sin(frequency * x + generator.uniform(0, 6)) * np.sin(frequency * y + generator.uniform(0, 6)) > 0


def _dots(generator: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    per_unit = generator.uniform(3.5, 4.8)
    column, row = x * per_unit + generator.random(), y * per_unit + generator.random()
    return np.hypot(column - np.floor(column) - 0.5, row - np.floor(row) - 0.5) < 0.28


PATTERNS: dict[str, Plane] = {
    "halves": _halves,
    "disc": _disc,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
}


def covered(
    view: np.ndarray, generator: np.random.Generator, *, pattern: str, hue: int, frame_height: int
) -> np.ndarray:
    """A view of organs under a sheet.

    Place, turn and size of the pattern, and the sheet's two tones of one hue, are drawn.

    Args:
        view: RGB, H×W×3, uint8.
        generator: what to draw with.
        pattern: one of `PATTERNS`.
        hue: 0 to `NUM_HUES` − 1, around the circle of colours.
        frame_height: of the camera's frames, in pixels.
    """
    height, width = view.shape[:2]
    columns = (np.arange(width, dtype=np.float32) - width / 2) * (2 / frame_height)
    rows = (np.arange(height, dtype=np.float32)[:, None] - height / 2) * (2 / frame_height)
    turn = generator.uniform(0, 2 * np.pi)
    x, y = columns * np.cos(turn) + rows * np.sin(turn), rows * np.cos(turn) - columns * np.sin(turn)
    mask = cv2.GaussianBlur(PATTERNS[pattern](generator, x, y).astype(np.float32), (0, 0), 0.8)[..., None]
    ground, figure = (np.array(tone, np.float32) for tone in _tones(generator, hue))
    sheet = 255 * (ground + mask * (figure - ground))
    mixed: np.ndarray = np.clip((1 - OPACITY) * view + OPACITY * sheet, 0, 255).astype(np.uint8)
    return mixed


def _tones(generator: np.random.Generator, hue: int) -> tuple[Colour, Colour]:
    """A dark and a light tone of a hue, in either order."""
    turn = (360 / NUM_HUES * hue + generator.uniform(-HUE_SPREAD_DEGREES, HUE_SPREAD_DEGREES)) / 360 % 1
    dark = generator.uniform(0.2, 0.4)
    light = dark + generator.uniform(0.4, 0.5)
    values = (dark, light) if generator.random() < 0.5 else (light, dark)
    first, second = (colorsys.hsv_to_rgb(turn, generator.uniform(0.55, 0.9), value) for value in values)
    return first, second
