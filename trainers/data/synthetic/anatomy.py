"""Views of a synthetic patient's anatomy, through which an operation passes."""

import numpy as np

from trainers.data.synthetic.organs import CHAR, CLIPS, CUT, STEEL, Organs, along, in_bytes, mixed
from trainers.data.synthetic.paint import Colour, curve, fractal_noise


class Anatomy(Organs):
    """Paints a patient's views: RGB images of the canvas's size, uint8."""

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
        painter.tissue(painter.band(bile_duct, 0.085), mixed(patient.fat, patient.gallbladder, 0.6), roundness=0.09)
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
            progress: share of the gallbladder that is detached, 0–1.
            gallbladder: whether it is still there.
            blood: amount of blood and fluid, 0–1.
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

    def wall(self, *, trocar: bool) -> np.ndarray:
        """The abdominal wall from inside, with the trocar through which the bag is pulled, or before it is there."""
        painter, patient, generator = self._painter(0.95), self.patient, self._generator("wall")
        painter.tissue(
            np.full(painter.coverage.shape, 255, np.uint8), patient.wall, roundness=0.01, gloss=0.1, shadow=0
        )
        for turn in np.linspace(0, 2 * np.pi, 9, endpoint=False) + generator.normal(0, 0.25, 9):
            away = np.array([np.cos(turn), np.sin(turn)])
            bend = np.array([-away[1], away[0]]) * generator.normal(0, 0.16)
            line = curve([tuple(away * 0.24), tuple(away * 0.6 + bend), tuple(away * 1.5)], closed=False)
            fold = painter.band(line, generator.uniform(0.02, 0.07))
            colour = mixed(patient.wall, (1, 1, 1) if generator.random() < 0.5 else patient.blood, 0.35)
            painter.stain(fold, colour, opacity=0.7, softness=0.02)
        for _ in range(5):
            start = generator.uniform(-0.9, 0.9, 2)
            line = curve(
                [tuple(start + step) for step in np.cumsum(generator.normal(0, 0.14, (4, 2)), 0)], closed=False
            )
            painter.branches(generator, line, patient.blood, num_twigs=5, radius=0.008)
        if not trocar:
            return self._finished(painter)
        circle = np.linspace(0, 2 * np.pi, 40)
        ring = np.stack([np.cos(circle), np.sin(circle)], 1)
        painter.tissue(painter.area(ring * 0.30), mixed(patient.wall, patient.blood, 0.35), roundness=0.1)
        painter.tissue(painter.area(ring * 0.22), mixed(STEEL, CHAR, 0.35), roundness=0.04, gloss=0.6, grain=0.02)
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
        return in_bytes(np.concatenate([painter.image * covered, covered], axis=2))

    def clip_order(self) -> np.ndarray:
        """The time at which each place of the canvas becomes clipped, 0–1: clip by clip, then the cut."""
        painter = self._painter(1.0)
        middles = (*CLIPS, sum(CUT) / 2)
        order = np.ones(painter.coverage.shape, np.float32)
        for rank, middle in reversed(list(enumerate(middles))):
            around = painter.band(np.stack([along(self._duct(), middle)] * 2), 0.1 if rank < len(CLIPS) else 0.05)
            order[around > 127] = (rank + 0.5) / len(middles)
        return order
