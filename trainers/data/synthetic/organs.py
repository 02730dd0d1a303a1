"""Shapes of a synthetic patient's organs, painted in anatomical coordinates."""

from collections.abc import Sequence

import numpy as np

from trainers.data.synthetic.paint import Colour, Painter, Point, curve, fractal_noise, lobes
from trainers.data.synthetic.patient import draw_patient
from trainers.runtime.randomness import numpy_generator

CANVAS_HALF_WIDTH, CANVAS_HALF_HEIGHT = 1.2, 0.85
"""Half the canvas's size, in heights of a 16:9 frame."""
CLIPS = (0.36, 0.48, 0.72)
"""Places of clips along the cystic duct, from the bile duct's end; it is cut between the last two."""
CUT = (0.54, 0.66)
STEEL: Colour = (0.80, 0.82, 0.86)
CHAR: Colour = (0.10, 0.06, 0.04)


class Organs:
    """Paints the structures of one patient. The same structure has the same shape wherever it is painted."""

    def __init__(self, seed: int, video: int, height: int) -> None:
        self.patient = draw_patient(seed, video, height)
        self.width_px = 2 * round(CANVAS_HALF_WIDTH * height)
        self.height_px = 2 * round(CANVAS_HALF_HEIGHT * height)
        self._seed, self._video, self._unit_px = seed, video, height
        size = (self.width_px, self.height_px)
        self.grain = fractal_noise(self._generator("grain"), *size, self.patient.texture_px)
        self._lobes = lobes(self._generator("lobes"), *size, height * (0.04 + 0.05 * self._generator("lobe").random()))

    def placement(self, closeness: float = 1.0) -> np.ndarray:
        """The 2×3 matrix from anatomical coordinates to the canvas's pixels."""
        patient, scale = self.patient, self._unit_px * self.patient.closeness * closeness
        cosine, sine = np.cos(patient.tilt) * scale, np.sin(patient.tilt) * scale
        flip = -1 if patient.mirrored else 1
        centre = (self.width_px / 2, self.height_px / 2)
        return np.array([[cosine * flip, -sine, centre[0]], [sine * flip, cosine, centre[1]]])

    def _painter(self, closeness: float) -> Painter:
        return Painter(self.width_px, self.height_px, self.placement(closeness), self.grain)

    def _generator(self, what: str) -> np.random.Generator:
        return numpy_generator(self._seed, "anatomy", self._video, what)

    def _shape(self, name: str, points: Sequence[Point], spread: float = 0.035) -> list[Point]:
        moved = np.asarray(points) + self._generator(name).normal(0, spread, (len(points), 2))
        return [(float(x), float(y)) for x, y in moved]

    def _backdrop(self, painter: Painter, colour: Colour, darker: float) -> None:
        everything = np.full(painter.coverage.shape, 255, np.uint8)
        painter.tissue(everything, mixed(CHAR, colour, darker), roundness=0.01, shadow=0)

    def _liver(self, painter: Painter, points: Sequence[Point], darker: float = 1.0) -> None:
        mask = painter.area(curve(points, closed=True, steps=16))
        painter.tissue(
            mask, mixed(CHAR, self.patient.liver, darker), roundness=0.14, gloss=0.3, grain=0.16, ripple=0.0035
        )

    def _fat(self, painter: Painter, points: Sequence[Point], *, veiled: bool = False) -> None:
        patient = self.patient
        mask = painter.area(curve(points, closed=True))
        colour = mixed(patient.fat, patient.wall, 0.65 * (1 - patient.fatness) + 0.15 * veiled)
        bumps = self._lobes * (0.25 + 0.5 * patient.fatness)
        painter.tissue(mask, colour, roundness=0.07, gloss=0.35, grain=0.07, bumps=bumps)
        generator = self._generator(f"vessels {points[0]}")
        for _ in range(3):
            start, end = (points[int(i)] for i in generator.integers(len(points), size=2))
            line = curve([start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.08), end], closed=False)
            painter.branches(generator, line, patient.blood, num_twigs=4, radius=0.006)

    def _bladder(self, painter: Painter, points: Sequence[Point]) -> None:
        outline = curve(points, closed=True)
        mask = painter.area(outline)
        painter.tissue(mask, self.patient.gallbladder, roundness=0.2, gloss=0.75, grain=0.06)
        generator = self._generator("gallbladder")
        for _ in range(5):  # vessels run lengthwise and fork
            rim, other = outline[generator.integers(len(outline), size=2)]
            middle = 0.5 * (rim + other) + generator.normal(0, 0.06, 2)
            line = curve([tuple(rim), tuple(middle), tuple(other)], closed=False)
            vessel = np.minimum(painter.band(line, generator.uniform(0.002, 0.005)), mask)
            painter.stain(vessel, self.patient.blood, opacity=generator.uniform(0.3, 0.6), softness=0.004)

    def _duct(self) -> np.ndarray:
        return curve(
            self._shape("duct", [(-0.72, 0.34), (-0.42, 0.22), (-0.18, 0.16), (0.1, 0.06)], 0.02), closed=False
        )

    def _ducts(self, painter: Painter, *, clipped: bool) -> None:
        patient, duct = self.patient, self._duct()
        artery = curve(
            self._shape("artery", [(-0.74, -0.2), (-0.4, -0.16), (-0.1, -0.08), (0.16, -0.06)], 0.02), closed=False
        )
        colour = mixed(patient.gallbladder, patient.fat, 0.3)
        artery_colour = mixed(patient.blood, patient.wall, 0.55)
        if not clipped:
            painter.tissue(painter.band(duct, 0.052), colour, roundness=0.055, gloss=0.6)
            painter.tissue(painter.band(artery, 0.032), artery_colour, roundness=0.035, gloss=0.5)
            return
        for low, high in ((0.0, CUT[0]), (CUT[1], 1.0)):
            painter.tissue(painter.band(part(duct, low, high), 0.052), colour, roundness=0.055, gloss=0.6)
        painter.tissue(painter.band(artery, 0.032), artery_colour, roundness=0.035, gloss=0.5)
        for middle in CLIPS:
            self._clip(painter, along(duct, middle), along(duct, middle + 0.05) - along(duct, middle - 0.05), 0.1)
        for middle in (0.4, 0.62):
            step = along(artery, middle + 0.05) - along(artery, middle - 0.05)
            self._clip(painter, along(artery, middle), step, 0.075)

    def _clip(self, painter: Painter, centre: np.ndarray, direction: np.ndarray, half_length: float) -> None:
        across = np.array([-direction[1], direction[0]]) / np.linalg.norm(direction) * half_length
        painter.tissue(
            painter.band(np.stack([centre - across, centre + across]), 0.024),
            STEEL,
            roundness=0.025,
            gloss=0.9,
            grain=0.0,
        )

    def _raw(self, painter: Painter, mask: np.ndarray) -> None:
        patient = self.patient
        rough = self._lobes * 0.2
        painter.tissue(mask, mixed(patient.liver, patient.fat, 0.28), roundness=0.02, gloss=0.5, grain=0.3, bumps=rough)
        painter.stain(painter.shaped_noise(mask, 0.3), CHAR, opacity=0.75)
        painter.stain(painter.shaped_noise(mask, 0.08), patient.blood, opacity=0.6)

    def _stump(self, painter: Painter) -> None:
        stump = curve(self._shape("stump", [(-0.85, 0.52), (-0.66, 0.44), (-0.5, 0.34)], 0.02), closed=False)
        colour = mixed(self.patient.gallbladder, self.patient.fat, 0.4)
        painter.tissue(painter.band(stump, 0.05), colour, roundness=0.05, gloss=0.6)
        for middle in (0.45, 0.8):
            step = along(stump, min(1.0, middle + 0.05)) - along(stump, middle - 0.05)
            self._clip(painter, along(stump, middle), step, 0.1)

    def _peeled(self, painter: Painter, progress: float) -> None:
        near = np.array(
            [
                (-0.5, 0.22),
                (-0.3, -0.1),
                (0.05, -0.3),
                (0.4, -0.42),
                (0.62, -0.3),
                (0.5, 0.06),
                (0.1, 0.36),
                (-0.26, 0.42),
            ]
        )
        far = np.array(
            [
                (0.12, -0.5),
                (0.1, -0.62),
                (0.3, -0.85),
                (0.6, -0.95),
                (1.0, -0.62),
                (0.9, -0.3),
                (0.62, -0.2),
                (0.36, -0.3),
            ]
        )
        outline = self._shape("peeled", [(x, y) for x, y in (1 - progress) * near + progress * far], 0.02)
        rim = curve([(x - 0.02, y + 0.05) for x, y in outline], closed=True)
        painter.tissue(painter.area(rim), mixed(self.patient.fat, (1, 1, 1), 0.35), roundness=0.03, gloss=0.3)
        self._bladder(painter, outline)

    def _pools(self, painter: Painter, amount: float) -> None:
        generator, patient = self._generator("pools"), self.patient
        centres = ((-0.15, 0.44), (0.45, 0.4), (0.1, -0.02), (-0.6, 0.1), (0.75, 0.1))
        turns = np.linspace(0, 2 * np.pi, 9, endpoint=False)
        for x, y in centres[: max(1, round(amount * len(centres)))]:
            radii = generator.uniform(0.13, 0.19, 9) * (0.6 + 0.5 * amount)
            outline = np.stack([x + 1.6 * radii * np.cos(turns), y + 0.7 * radii * np.sin(turns)], 1)
            pool = painter.area(curve(outline.tolist(), closed=True))
            painter.tissue(pool, mixed(patient.blood, CHAR, 0.15), roundness=0.05, gloss=0.6, grain=0.04, shadow=0.1)

    def _finished(self, painter: Painter) -> np.ndarray:
        return in_bytes(painter.image)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def along(line: np.ndarray, share: float) -> np.ndarray:
    """The point at a share of a line's length."""
    position = np.clip(share, 0, 1) * (len(line) - 1)
    low = int(min(position, len(line) - 2))
    point: np.ndarray = line[low] + (position - low) * (line[low + 1] - line[low])
    return point


def part(line: np.ndarray, low: float, high: float) -> np.ndarray:
    """The piece of a line between two shares of its length."""
    points: np.ndarray = np.array([along(line, share) for share in np.linspace(low, high, 12)])
    return points


def in_bytes(image: np.ndarray) -> np.ndarray:
    """An image of values from 0 to 1 in bytes."""
    levels: np.ndarray = np.clip(image * 255, 0, 255).astype(np.uint8)
    return levels
