"""Draws laparoscopic instruments as shaded polygons: a shaft from the image's border and a tip of typical shape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]
SUBPIXEL_BITS = 4
SHAFT_LENGTH = 40.0
METAL_STRIPS = ((0.5, 0.0, 0.35), (0.42, -0.04, 0.62), (0.30, -0.10, 0.85), (0.17, -0.15, 1.1), (0.07, -0.18, 1.4))
"""A lit cylinder as nested strips: half width and offset in shaft widths, brightness."""


@dataclass(frozen=True)
class Palette:
    """Colours of one operating theatre's instruments, RGB in 0–255."""

    shaft: Colour
    metal: Colour
    accent: Colour
    collar: Colour


@dataclass(frozen=True)
class Pose:
    """Pose of an instrument in the image."""

    tip: tuple[float, float]
    """In pixels."""
    angle: float
    """Direction in which the tip points, in radians."""
    width_px: float
    """Of the shaft."""
    opening: float
    """Of the jaws, 0–1."""
    flipped: bool = False


class Pen:
    """Draws polygons given in an instrument's own coordinates: tip at 0, shaft along −x, unit one shaft width."""

    def __init__(self, image: np.ndarray, pose: Pose) -> None:
        self._image = image
        cosine, sine = np.cos(pose.angle) * pose.width_px, np.sin(pose.angle) * pose.width_px
        flip = -1 if pose.flipped else 1
        self._matrix = np.array([[cosine, sine], [-sine * flip, cosine * flip]])
        self._tip = np.array(pose.tip)
        self._width_px = pose.width_px

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour, brightness: float = 1.0) -> None:
        """Fills a polygon."""
        cv2.fillPoly(self._image, [self._pixels(points)], _lit(colour, brightness), cv2.LINE_AA, SUBPIXEL_BITS)

    def line(
        self, points: Sequence[tuple[float, float]], width: float, colour: Colour, brightness: float = 1.0
    ) -> None:
        """Draws a line through points, `width` shaft widths thick."""
        thickness = max(1, round(width * self._width_px))
        pixels = self._pixels(points)
        cv2.polylines(self._image, [pixels], False, _lit(colour, brightness), thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def disc(self, x: float, y: float, radius: float, colour: Colour, brightness: float = 1.0) -> None:
        """Fills a disc."""
        centre = self._pixels([(x, y)])[0]
        size = max(1, round(radius * self._width_px * 2**SUBPIXEL_BITS))
        position = (int(centre[0]), int(centre[1]))
        cv2.circle(self._image, position, size, _lit(colour, brightness), -1, cv2.LINE_AA, SUBPIXEL_BITS)

    def cylinder(self, start: float, stop: float, width: float, colour: Colour) -> None:
        """A tube along the axis, with light falling on it from one side."""
        for half, offset, brightness in METAL_STRIPS:
            low, high = (offset - half) * width, (offset + half) * width
            self.polygon([(start, low), (stop, low), (stop, high), (start, high)], colour, brightness)

    def _pixels(self, points: Sequence[tuple[float, float]]) -> np.ndarray:
        pixels = np.asarray(points) @ self._matrix + self._tip
        fixed: np.ndarray = np.rint(pixels * 2**SUBPIXEL_BITS).astype(np.int32)
        return fixed


def draw_instrument(image: np.ndarray, tool: str, pose: Pose, palette: Palette) -> None:
    """Draws an instrument over an RGB image, in place."""
    _TIPS[tool](Pen(image, pose), palette, pose.opening)


def shaft_outline(pose: Pose) -> np.ndarray:
    """Four corners of the shaft and tip in pixels, for the shadow that it throws."""
    direction = np.array([np.cos(pose.angle), np.sin(pose.angle)])
    across = np.array([-direction[1], direction[0]]) * pose.width_px / 2
    tip = np.array(pose.tip)
    back = tip - direction * SHAFT_LENGTH * pose.width_px
    return np.array([back - across, tip - across, tip + across, back + across])


def _grasper(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, -2.6, 1.0, palette.shaft)
    pen.cylinder(-2.7, -1.9, 0.8, palette.metal)
    spread = 0.12 + 0.75 * opening
    for side, brightness in ((1, 0.62), (-1, 1.0)):
        end = side * spread
        outline = [(-2.1, side * 0.36), (-1.2, side * 0.42 + end * 0.45), (-0.1, side * 0.26 + end), (0.1, end)]
        teeth = [(-0.25 - 0.3 * i, end * (1 - 0.16 * i) + side * (0.02 + 0.09 * (i % 2))) for i in range(6)]
        pen.polygon([*outline, *teeth, (-2.1, 0.0)], palette.metal, brightness)
        slit = [(-1.3, side * 0.22 + end * 0.42), (-0.45, side * 0.16 + end * 0.8)]
        pen.line(slit, 0.13, palette.metal, 0.3)
    pen.disc(-2.0, 0.0, 0.16, palette.metal, 0.45)


def _hook(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, -2.6, 0.95, palette.shaft)
    pen.cylinder(-2.7, -1.9, 0.72, palette.collar)
    bend = [(-2.0, 0.0), (-0.25, 0.0), (0.05, 0.12), (0.15, 0.4), (0.15, 1.25)]
    pen.line(bend, 0.36, palette.metal, 0.45)
    pen.line([(x - 0.05, y - 0.05) for x, y in bend], 0.2, palette.metal, 1.25)
    if opening > 0.75:  # the tip glows while it burns
        pen.disc(0.15, 1.3, 0.22, (255, 214, 140))


def _scissors(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, -2.4, 1.0, palette.shaft)
    pen.cylinder(-2.5, -1.8, 0.7, palette.metal)
    for side, brightness in ((1, 0.75), (-1, 1.25)):
        end = side * (0.15 + 0.85 * opening)
        blade = [(-2.0, -side * 0.22), (-1.0, side * 0.12 + end * 0.45), (0.15, end * 1.05 + side * 0.05)]
        curve = [(-0.7, end * 0.55 + side * 0.36), (-1.6, side * 0.36 + end * 0.15), (-2.0, side * 0.3)]
        pen.polygon([*blade, *curve], palette.metal, brightness)
    pen.disc(-1.75, 0.0, 0.2, palette.metal, 0.35)


def _clipper(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, -2.5, 1.55, palette.metal)
    pen.cylinder(-2.7, -2.2, 1.75, palette.accent)
    gap = 0.16 + 0.3 * opening
    for side, brightness in ((1, 0.55), (-1, 0.95)):
        inner, outer = side * gap, side * (gap + 0.38)
        jaw = [(-2.3, side * 0.1), (-2.3, side * 0.75), (-1.7, outer), (0.05, outer), (0.2, side * (gap + 0.2))]
        pen.polygon([*jaw, (0.1, inner), (-1.4, inner)], palette.metal, brightness)
        pen.line([(-1.0, inner), (0.05, inner)], 0.12, (235, 240, 245))


def _bipolar(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, -3.0, 0.9, palette.shaft)
    pen.cylinder(-3.1, -2.2, 0.85, palette.accent)
    for side, brightness in ((1, 0.7), (-1, 1.1)):
        end = side * (0.1 + 0.45 * opening)
        prong = [(-2.3, side * 0.2), (-1.3, side * 0.3 + end * 0.9), (-0.5, side * 0.15 + end)]
        pen.line(prong, 0.34, palette.accent, brightness)
        pen.line([prong[-1], (0.1, end)], 0.3, palette.metal, brightness)


def _irrigator(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, 0.0, 0.85, palette.metal)
    pen.polygon([(0.0, -0.42), (0.18, -0.2), (0.18, 0.2), (0.0, 0.42)], palette.metal, 0.5)
    for x in (-0.35, -0.85, -1.35):
        pen.disc(x, 0.05, 0.13, palette.metal, 0.15)
    if opening > 0.5:  # a jet of water
        length = 1.2 + 2.2 * opening
        for lean, brightness in ((-0.25, 0.8), (0.0, 1.0), (0.22, 0.9)):
            pen.line([(0.2, lean * 0.4), (length, lean * 3)], 0.1, (215, 228, 236), brightness)


def _trocar(pen: Pen, palette: Palette, opening: float) -> None:
    pen.cylinder(-SHAFT_LENGTH, -1.5, 2.3, palette.collar)
    pen.cylinder(-1.7, -1.3, 2.5, palette.accent)
    pen.polygon([(-1.4, -0.95), (0.35, 0.0), (-1.4, 0.95)], palette.metal, 0.8)
    pen.polygon([(-1.4, -0.95), (0.35, 0.0), (-1.4, -0.1)], palette.metal, 1.25)


_TIPS: dict[str, Callable[[Pen, Palette, float], None]] = {
    "Grasper": _grasper,
    "Bipolar": _bipolar,
    "Hook": _hook,
    "Scissors": _scissors,
    "Clipper": _clipper,
    "Irrigator": _irrigator,
    "Trocar": _trocar,
}


def _lit(colour: Colour, brightness: float) -> Colour:
    red, green, blue = (min(255.0, channel * brightness) for channel in colour)
    return red, green, blue
