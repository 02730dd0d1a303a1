"""The shapes of a made-up patient's organs, and the views of them that an operation passes through."""

from collections.abc import Sequence

import numpy as np

from trainers.data.synthetic.paint import Colour, Painter, Point, curve, fractal_noise, lobes
from trainers.data.synthetic.patient import draw_patient
from trainers.runtime.randomness import numpy_generator

CANVAS_HALF_WIDTH, CANVAS_HALF_HEIGHT = 1.2, 0.85
"""How far a canvas reaches from its centre, in heights of a 16:9 frame."""
CLIPS = (0.36, 0.48, 0.72)
"""Where clips sit along the cystic duct, from the bile duct's end; it is cut between the last two."""
CUT = (0.54, 0.66)
STEEL: Colour = (0.80, 0.82, 0.86)
CHAR: Colour = (0.10, 0.06, 0.04)


class Anatomy:
    """Paints a patient's views. The same structure has the same shape in all of them."""

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

    def overview(self) -> np.ndarray:
        """The closed situs: liver edge, fundus of the gallbladder, omentum and bowel, from afar."""
        painter, patient = self._painter(0.82), self.patient
        self._backdrop(painter, patient.bowel, 0.5)
        for name, y in (("transverse colon", 0.62), ("stomach", 0.34)):
            line = curve(self._shape(name, [(-1.6, y + 0.1), (-0.6, y), (0.2, y + 0.08), (1.6, y - 0.1)]), closed=False)
            painter.tissue(painter.band(line, 0.17), patient.bowel, roundness=0.17, gloss=0.5)
        omentum = self._shape("omentum", [(-1.7, 0.3), (-0.9, 0.16), (-0.3, 0.3), (0.2, 0.44), (0.5, 1.2), (-1.7, 1.2)])
        self._fat(painter, omentum)
        fundus = self._shape("fundus", [(-0.02, -0.2), (0.3, -0.2), (0.38, 0.12), (0.2, 0.3), (0.0, 0.16)])
        self._bladder(painter, fundus)
        edge = [(-1.9, 0.1), (-1.0, 0.14), (-0.4, 0.02), (0.05, -0.02), (0.4, 0.0), (1.0, 0.16), (1.9, 0.05)]
        self._liver(painter, [*self._shape("edge", edge), (1.9, -1.5), (-1.9, -1.5)])
        ligament = curve(self._shape("ligament", [(-0.62, 0.1), (-0.56, -0.3), (-0.68, -1.2)]), closed=False)
        painter.tissue(painter.band(ligament, 0.05), patient.wall, roundness=0.06)
        return self._finished(painter)

    def calot(self, *, dissected: bool, clipped: bool = False) -> np.ndarray:
        """Calot's triangle: under fat and peritoneum, dissected to duct and artery, or clipped and cut."""
        painter, patient = self._painter(1.0), self.patient
        self._liver(painter, [(-2, -1.5), (2, -1.5), (2, 1.5), (-2, 1.5)], darker=0.72)
        base = [(-1.7, 0.32), (-0.7, 0.42), (0.0, 0.36), (0.5, 0.46), (1.7, 0.3), (1.7, 1.5), (-1.7, 1.5)]
        self._fat(painter, self._shape("base", base))
        bile_duct = curve(self._shape("bile duct", [(-0.82, -0.5), (-0.72, 0.1), (-0.66, 0.9)]), closed=False)
        painter.tissue(painter.band(bile_duct, 0.085), _mixed(patient.fat, patient.gallbladder, 0.6), roundness=0.09)
        self._ducts(painter, clipped=clipped)
        pouch = [
            (0.02, 0.02),
            (0.12, -0.16),
            (0.42, -0.36),
            (0.8, -0.9),
            (1.5, -0.5),
            (0.8, 0.02),
            (0.42, 0.24),
            (0.14, 0.16),
        ]
        self._bladder(painter, self._shape("pouch", pouch))
        if not dissected:
            veil = [(-0.75, -0.14), (-0.3, -0.22), (0.18, -0.14), (0.24, 0.16), (-0.1, 0.4), (-0.7, 0.44)]
            self._fat(painter, self._shape("veil", veil), veiled=True)
        else:
            window = painter.area(curve([(-0.62, -0.1), (-0.02, -0.06), (0.0, 0.1), (-0.5, 0.3)], closed=True))
            painter.stain(painter.shaped_noise(window, 0.25), patient.blood, opacity=0.5)
        return self._finished(painter)

    def bed(self, *, progress: float, gallbladder: bool, blood: float, closeness: float = 1.0) -> np.ndarray:
        """The gallbladder's bed in the liver.

        Args:
            progress: how much of the gallbladder has been peeled off, 0–1.
            gallbladder: whether it is still there.
            blood: how much blood and fluid lies about, 0–1.
            closeness: magnification.
        """
        painter = self._painter(closeness)
        self._liver(painter, [(-2, -1.5), (2, -1.5), (2, 1.5), (-2, 1.5)])
        base = [(-1.7, 0.5), (-0.7, 0.42), (0.0, 0.52), (0.7, 0.56), (1.7, 0.5), (1.7, 1.5), (-1.7, 1.5)]
        self._fat(painter, self._shape("hilum", base))
        oval = [(-0.42, 0.24), (-0.32, -0.12), (0.0, -0.34), (0.42, -0.4), (0.52, -0.14), (0.26, 0.16), (-0.1, 0.34)]
        raw = painter.area(curve(self._shape("raw", oval), closed=True))
        self._raw(painter, raw)
        self._stump(painter)
        if gallbladder:
            self._peeled(painter, progress)
        if blood:
            self._pools(painter, blood)
        return self._finished(painter)

    def wall(self) -> np.ndarray:
        """The abdominal wall from inside, with the trocar through which the bag is pulled."""
        painter, patient, generator = self._painter(0.95), self.patient, self._generator("wall")
        painter.tissue(
            np.full(painter.coverage.shape, 255, np.uint8), patient.wall, roundness=0.01, gloss=0.1, shadow=0
        )
        for turn in np.linspace(0, 2 * np.pi, 9, endpoint=False) + generator.normal(0, 0.25, 9):
            away = np.array([np.cos(turn), np.sin(turn)])
            bend = np.array([-away[1], away[0]]) * generator.normal(0, 0.16)
            line = curve([tuple(away * 0.24), tuple(away * 0.6 + bend), tuple(away * 1.5)], closed=False)
            fold = painter.band(line, generator.uniform(0.02, 0.07))
            colour = _mixed(patient.wall, (1, 1, 1) if generator.random() < 0.5 else patient.blood, 0.35)
            painter.stain(fold, colour, opacity=0.7, softness=0.02)
        for _ in range(5):
            start = generator.uniform(-0.9, 0.9, 2)
            line = curve(
                [tuple(start + step) for step in np.cumsum(generator.normal(0, 0.14, (4, 2)), 0)], closed=False
            )
            painter.branches(generator, line, patient.blood, num_twigs=5, radius=0.008)
        circle = np.linspace(0, 2 * np.pi, 40)
        ring = np.stack([np.cos(circle), np.sin(circle)], 1)
        painter.tissue(painter.area(ring * 0.30), _mixed(patient.wall, patient.blood, 0.35), roundness=0.1)
        painter.tissue(painter.area(ring * 0.22), _mixed(STEEL, CHAR, 0.35), roundness=0.04, gloss=0.6, grain=0.02)
        painter.tissue(painter.area(ring * 0.15), (0.07, 0.06, 0.06), roundness=0.02, gloss=0.0, shadow=0)
        return self._finished(painter)

    def bag(self, *, closed: bool) -> np.ndarray:
        """The specimen bag alone: open with the gallbladder going in, or closed and pulled up.

        Returns:
            RGBA of the canvas's size, uint8; RGB is multiplied by A.
        """
        painter, generator = self._painter(1.0), self._generator("bag")
        plastic: Colour = tuple(generator.uniform([0.82, 0.84, 0.82], [0.97, 0.98, 1.0]))
        folds = fractal_noise(generator, self.width_px, self.height_px, self._unit_px * 0.1, 3, stretch=0.35)
        if closed:
            outline = [
                (-0.1, -0.3),
                (0.1, -0.3),
                (0.16, 0.0),
                (0.36, 0.3),
                (0.2, 0.55),
                (-0.2, 0.55),
                (-0.36, 0.3),
                (-0.16, 0.0),
            ]
        else:
            outline = [
                (-0.46, -0.16),
                (0.0, -0.26),
                (0.46, -0.16),
                (0.42, 0.2),
                (0.2, 0.46),
                (-0.2, 0.46),
                (-0.42, 0.2),
            ]
        body = painter.area(curve(self._shape(f"bag {closed}", outline), closed=True))
        painter.tissue(
            body, plastic, roundness=0.2, gloss=0.5, grain=0.03, bumps=folds * self._unit_px * 0.018, shadow=0
        )
        if closed:
            string = painter.band(np.array([(-0.13, -0.2), (0.13, -0.2)]), 0.025)
        else:
            turn = np.linspace(0, 2 * np.pi, 40)
            rim = np.stack([0.42 * np.cos(turn), 0.13 * np.sin(turn) - 0.14], 1)
            painter.tissue(painter.area(rim), (0.3, 0.26, 0.24), roundness=0.05, gloss=0.1)
            self._bladder(
                painter, [(-0.2, -0.1), (-0.24, -0.34), (0.0, -0.5), (0.24, -0.36), (0.22, -0.1), (0.0, -0.05)]
            )
            lip = curve([(-0.42, -0.14), (-0.2, -0.02), (0.2, -0.02), (0.42, -0.14)], closed=False)
            painter.tissue(painter.band(lip, 0.03), plastic, roundness=0.03, gloss=0.5)
            string = painter.band(rim, 0.014)
        painter.tissue(string, (0.2, 0.35, 0.75), roundness=0.02, gloss=0.4, shadow=0)
        covered = painter.coverage[..., None]
        return _bytes(np.concatenate([painter.image * covered, covered], axis=2))

    def clip_order(self) -> np.ndarray:
        """When each place of the canvas turns from dissected to clipped, 0–1: clip by clip, then the cut."""
        painter = self._painter(1.0)
        middles = (*CLIPS, sum(CUT) / 2)
        order = np.ones(painter.coverage.shape, np.float32)
        for rank, middle in reversed(list(enumerate(middles))):
            around = painter.band(np.stack([_along(self._duct(), middle)] * 2), 0.1 if rank < len(CLIPS) else 0.05)
            order[around > 127] = (rank + 0.5) / len(middles)
        return order

    def _painter(self, closeness: float) -> Painter:
        return Painter(self.width_px, self.height_px, self.placement(closeness), self.grain)

    def _generator(self, what: str) -> np.random.Generator:
        return numpy_generator(self._seed, "anatomy", self._video, what)

    def _shape(self, name: str, points: Sequence[Point], spread: float = 0.035) -> list[Point]:
        moved = np.asarray(points) + self._generator(name).normal(0, spread, (len(points), 2))
        return [(float(x), float(y)) for x, y in moved]

    def _backdrop(self, painter: Painter, colour: Colour, darker: float) -> None:
        everything = np.full(painter.coverage.shape, 255, np.uint8)
        painter.tissue(everything, _mixed(CHAR, colour, darker), roundness=0.01, shadow=0)

    def _liver(self, painter: Painter, points: Sequence[Point], darker: float = 1.0) -> None:
        mask = painter.area(curve(points, closed=True, steps=16))
        painter.tissue(
            mask, _mixed(CHAR, self.patient.liver, darker), roundness=0.14, gloss=0.3, grain=0.16, ripple=0.0035
        )

    def _fat(self, painter: Painter, points: Sequence[Point], *, veiled: bool = False) -> None:
        patient = self.patient
        mask = painter.area(curve(points, closed=True))
        colour = _mixed(patient.fat, patient.wall, 0.65 * (1 - patient.fatness) + 0.15 * veiled)
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
        colour = _mixed(patient.gallbladder, patient.fat, 0.3)
        artery_colour = _mixed(patient.blood, patient.wall, 0.55)
        if not clipped:
            painter.tissue(painter.band(duct, 0.052), colour, roundness=0.055, gloss=0.6)
            painter.tissue(painter.band(artery, 0.032), artery_colour, roundness=0.035, gloss=0.5)
            return
        for low, high in ((0.0, CUT[0]), (CUT[1], 1.0)):
            painter.tissue(painter.band(_part(duct, low, high), 0.052), colour, roundness=0.055, gloss=0.6)
        painter.tissue(painter.band(artery, 0.032), artery_colour, roundness=0.035, gloss=0.5)
        for middle in CLIPS:
            self._clip(painter, _along(duct, middle), _along(duct, middle + 0.05) - _along(duct, middle - 0.05), 0.1)
        for middle in (0.4, 0.62):
            step = _along(artery, middle + 0.05) - _along(artery, middle - 0.05)
            self._clip(painter, _along(artery, middle), step, 0.075)

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
        painter.tissue(
            mask, _mixed(patient.liver, patient.fat, 0.28), roundness=0.02, gloss=0.5, grain=0.3, bumps=rough
        )
        painter.stain(painter.shaped_noise(mask, 0.3), CHAR, opacity=0.75)
        painter.stain(painter.shaped_noise(mask, 0.08), patient.blood, opacity=0.6)

    def _stump(self, painter: Painter) -> None:
        stump = curve(self._shape("stump", [(-0.85, 0.52), (-0.66, 0.44), (-0.5, 0.34)], 0.02), closed=False)
        colour = _mixed(self.patient.gallbladder, self.patient.fat, 0.4)
        painter.tissue(painter.band(stump, 0.05), colour, roundness=0.05, gloss=0.6)
        for middle in (0.45, 0.8):
            step = _along(stump, min(1.0, middle + 0.05)) - _along(stump, middle - 0.05)
            self._clip(painter, _along(stump, middle), step, 0.1)

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
        painter.tissue(painter.area(rim), _mixed(self.patient.fat, (1, 1, 1), 0.35), roundness=0.03, gloss=0.3)
        self._bladder(painter, outline)

    def _pools(self, painter: Painter, amount: float) -> None:
        generator, patient = self._generator("pools"), self.patient
        centres = ((-0.15, 0.44), (0.45, 0.4), (0.1, -0.02), (-0.6, 0.1), (0.75, 0.1))
        turns = np.linspace(0, 2 * np.pi, 9, endpoint=False)
        for x, y in centres[: max(1, round(amount * len(centres)))]:
            radii = generator.uniform(0.13, 0.19, 9) * (0.6 + 0.5 * amount)
            outline = np.stack([x + 1.6 * radii * np.cos(turns), y + 0.7 * radii * np.sin(turns)], 1)
            pool = painter.area(curve(outline.tolist(), closed=True))
            painter.tissue(pool, _mixed(patient.blood, CHAR, 0.15), roundness=0.05, gloss=0.6, grain=0.04, shadow=0.1)

    def _finished(self, painter: Painter) -> np.ndarray:
        return _bytes(painter.image)


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _along(line: np.ndarray, share: float) -> np.ndarray:
    """The point at a share of a line's length."""
    position = np.clip(share, 0, 1) * (len(line) - 1)
    low = int(min(position, len(line) - 2))
    point: np.ndarray = line[low] + (position - low) * (line[low + 1] - line[low])
    return point


def _part(line: np.ndarray, low: float, high: float) -> np.ndarray:
    points: np.ndarray = np.array([_along(line, share) for share in np.linspace(low, high, 12)])
    return points


def _bytes(image: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.clip(image * 255, 0, 255).astype(np.uint8)
    return levels
