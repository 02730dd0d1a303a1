"""Paints wet, rounded, textured tissue on a canvas: masks, relief shading, grain, shadows and stains."""

from collections.abc import Sequence

import cv2
import numpy as np

Point = tuple[float, float]
Colour = tuple[float, float, float]
"""RGB in 0–1."""

LIGHT = (-0.28, -0.38, 0.88)
"""Direction towards the lamp, of length 1; it sits beside the camera."""
HALFWAY = (-0.145, -0.196, 0.970)
"""Between the lamp and the camera: a surface that faces it gleams."""
SHININESS = 60
SUBPIXEL_BITS = 4


def fractal_noise(
    generator: np.random.Generator, width: int, height: int, cell_px: float, octaves: int = 4, stretch: float = 1.0
) -> np.ndarray:
    """Smooth noise of several octaves, mean 0 and standard deviation 1, float32, `height`×`width`.

    Args:
        generator: what to draw with.
        width: in pixels.
        height: in pixels.
        cell_px: size of the coarsest octave's features.
        octaves: each has half the size and 0.55 of the amplitude of the one before.
        stretch: makes the features that much longer along x.
    """
    total: np.ndarray = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(1.0, cell_px / 2**octave)
        coarse = (int(np.ceil(height / cell)) + 2, int(np.ceil(width / (cell * stretch))) + 2)
        values = generator.standard_normal(coarse, np.float32)
        total += cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC) * 0.55**octave
    total -= total.mean()
    total /= total.std() + 1e-6
    return total


def lobes(generator: np.random.Generator, width: int, height: int, cell_px: float) -> np.ndarray:
    """Heights of closely packed round lobules, as fat has them, in pixels, float32, `height`×`width`."""
    num_seeds = max(4, int(width * height / cell_px**2))
    far = np.full((height, width), 255, np.uint8)
    far[generator.integers(0, height, num_seeds), generator.integers(0, width, num_seeds)] = 0
    distance = cv2.distanceTransform(far, cv2.DIST_L2, 5)
    heights: np.ndarray = np.sqrt(np.maximum(0.0, 1.1 * cell_px**2 - distance**2)).astype(np.float32)
    return heights


def curve(points: Sequence[Point], *, closed: bool, steps: int = 12) -> np.ndarray:
    """A smooth curve (Catmull–Rom) through control points, M×2."""
    control = np.asarray(points, float)
    ends = (control[-1:], control[:2]) if closed else (control[:1], control[-1:])
    padded = np.concatenate([ends[0], control, ends[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * (b - c) + d - a) * t**3))
    return np.concatenate(pieces if closed else [*pieces, control[-1:]])


class Painter:
    """A canvas on which tissue is painted in anatomical coordinates.

    Attributes:
        image: RGB in 0–1, float32, H×W×3.
        coverage: how much of each pixel has been painted over, 0–1, float32, H×W.
    """

    def __init__(self, width: int, height: int, placement: np.ndarray, grain: np.ndarray) -> None:
        """`placement` (2×3) maps anatomical coordinates to pixels; `grain` is noise of the canvas's size."""
        self.image = np.zeros((height, width, 3), np.float32)
        self.coverage = np.zeros((height, width), np.float32)
        self._placement = placement
        self._grain = grain
        self._unit_px = float(np.sqrt(abs(np.linalg.det(placement[:, :2]))))

    def area(self, points: np.ndarray) -> np.ndarray:
        """The mask (H×W, uint8) inside an outline."""
        mask = np.zeros(self.coverage.shape, np.uint8)
        cv2.fillPoly(mask, [self._pixels(points)], (255,), cv2.LINE_AA, SUBPIXEL_BITS)
        return mask

    def band(self, points: np.ndarray, radius: float) -> np.ndarray:
        """The mask (H×W, uint8) of a band around a line."""
        mask = np.zeros(self.coverage.shape, np.uint8)
        thickness = max(1, round(2 * radius * self._unit_px))
        cv2.polylines(mask, [self._pixels(points)], False, (255,), thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        return mask

    def tissue(
        self,
        mask: np.ndarray,
        colour: Colour,
        *,
        roundness: float,
        gloss: float = 0.35,
        grain: float = 0.12,
        ripple: float = 0.005,
        bumps: np.ndarray | None = None,
        shadow: float = 0.45,
    ) -> None:
        """Paints a mask as a rounded, wet body.

        Args:
            mask: uint8, H×W.
            colour: of the body where light falls on it squarely.
            roundness: how far from its border the body curves.
            gloss: strength of the highlights.
            grain: strength of the texture.
            ripple: height of the texture.
            bumps: heights in pixels added to the body's own.
            shadow: strength of the shadow that the body throws on what lies below.
        """
        x, y, width, height = self._reach(mask, 0.08)
        if width == 0:
            return
        window = np.s_[y : y + height, x : x + width]
        inside, noise = mask[window], self._grain[window]
        alpha = inside.astype(np.float32) / 255
        target = self.image[window]
        if shadow:
            soft = cv2.GaussianBlur(alpha, (0, 0), 0.035 * self._unit_px)
            moved = cv2.warpAffine(
                soft, np.array([[1, 0, 0.02], [0, 1, 0.035]]) * [1, 1, self._unit_px], (width, height)
            )
            target *= (1 - shadow * moved)[..., None]
        radius = roundness * self._unit_px
        depth = cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, 5)
        rise = np.minimum(depth, radius) / radius
        relief = radius * np.sqrt(1 - (1 - rise) ** 2) + ripple * self._unit_px * noise
        if bumps is not None:
            relief += bumps[window]
        diffuse, highlight = _shade(cv2.GaussianBlur(relief, (0, 0), max(0.8, 0.006 * self._unit_px)))
        tone = (0.3 + 0.75 * diffuse) * (1 + grain * noise)
        painted = tone[..., None] * np.array(colour, np.float32) + (gloss * highlight)[..., None]
        target += alpha[..., None] * (painted - target)
        self.coverage[window] = np.maximum(self.coverage[window], alpha)

    def stain(self, mask: np.ndarray, colour: Colour, *, opacity: float, softness: float = 0.01) -> None:
        """Tints what a mask covers, with a soft border, keeping its relief."""
        x, y, width, height = self._reach(mask, 3 * softness)
        if width == 0:
            return
        window = np.s_[y : y + height, x : x + width]
        alpha = cv2.GaussianBlur(mask[window], (0, 0), max(0.6, softness * self._unit_px)) * np.float32(opacity / 255)
        target = self.image[window]
        light = cv2.transform(target, np.full((1, 3), 1 / 3, np.float32))
        tint = np.array(colour, np.float32) * (0.55 + 0.9 * light)[..., None]
        target += alpha[..., None] * (tint - target)
        self.coverage[window] = np.maximum(self.coverage[window], alpha)

    def branches(
        self, generator: np.random.Generator, points: np.ndarray, colour: Colour, *, num_twigs: int, radius: float
    ) -> None:
        """Paints a vessel along a line, with twigs that wander off it."""
        mask = self.band(points, radius)
        for _ in range(num_twigs):
            start = points[generator.integers(len(points))]
            steps = np.cumsum(generator.normal(0, 0.012, (7, 2)) + generator.normal(0, 0.022, 2), axis=0)
            mask = np.maximum(mask, self.band(np.concatenate([[start], start + steps]), radius * 0.55))
        self.stain(mask, colour, opacity=0.55, softness=0.002)

    def shaped_noise(self, mask: np.ndarray, share: float) -> np.ndarray:
        """The part of a mask where the grain is strongest: ragged patches that cover about `share` of it."""
        inside = self._grain[mask > 127]
        if inside.size == 0:
            return mask
        threshold = float(np.quantile(inside, 1 - share))
        ragged = np.clip((self._grain - threshold) * 3 + 0.5, 0, 1)
        patches: np.ndarray = (mask * ragged).astype(np.uint8)
        return patches

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        pixels = points @ self._placement[:, :2].T + self._placement[:, 2]
        fixed: np.ndarray = np.rint(pixels * 2**SUBPIXEL_BITS).astype(np.int32)
        return fixed

    def _reach(self, mask: np.ndarray, margin: float) -> tuple[int, int, int, int]:
        x, y, width, height = cv2.boundingRect(mask)
        if width == 0:
            return 0, 0, 0, 0
        pad = int(margin * self._unit_px) + 2
        left, top = max(0, x - pad), max(0, y - pad)
        right, bottom = min(mask.shape[1], x + width + pad), min(mask.shape[0], y + height + pad)
        return left, top, right - left, bottom - top


def _shade(relief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=0.125)
    steepness = 1 / cv2.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = np.maximum(0, (LIGHT[2] - LIGHT[0] * slope_x - LIGHT[1] * slope_y) * steepness)
    facing = np.maximum(0, (HALFWAY[2] - HALFWAY[0] * slope_x - HALFWAY[1] * slope_y) * steepness)
    return diffuse, cv2.pow(facing, SHININESS)
