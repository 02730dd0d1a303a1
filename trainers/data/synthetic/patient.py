"""Traits of a synthetic patient: colours, fat, texture, and the camera's position."""

import colorsys
from dataclasses import dataclass

import numpy as np

from trainers.data.synthetic.paint import Colour
from trainers.runtime.randomness import numpy_generator


@dataclass(frozen=True)
class Patient:
    """Traits of a patient's images, except the shapes of organs."""

    liver: Colour
    gallbladder: Colour
    fat: Colour
    wall: Colour
    bowel: Colour
    blood: Colour
    fatness: float
    """0–1."""
    texture_px: float
    """Size of the coarsest texture."""
    closeness: float
    """Magnification of the organs."""
    mirrored: bool
    tilt: float
    """Rotation of the whole layout, in radians."""


def draw_patient(seed: int, video: int, height: int) -> Patient:
    """Draws the patient of a video; neighbouring videos are far apart in every trait.

    Args:
        seed: the data set's seed.
        video: the video's number.
        height: of the frames, in pixels.
    """
    generator = numpy_generator(seed, "patient", video)
    trait = spread_out(seed, video, 7)
    kind = generator.integers(4)
    hue, saturation, value = ((80, 0.30, 0.62), (195, 0.22, 0.62), (32, 0.38, 0.80), (4, 0.50, 0.66))[kind]
    return Patient(
        liver=_hsv(-16 + 38 * trait[0], 0.5 + 0.36 * trait[1], 0.34 + 0.34 * trait[2]),
        gallbladder=_hsv(hue + generator.normal(0, 8), saturation, value + generator.normal(0, 0.06)),
        fat=_hsv(36 + 18 * trait[3], 0.38 + 0.4 * generator.random(), 0.8 + 0.18 * generator.random()),
        wall=_hsv(2 + 28 * trait[4], 0.28 + 0.3 * generator.random(), 0.68 + 0.24 * generator.random()),
        bowel=_hsv(-8 + 30 * generator.random(), 0.3 + 0.22 * generator.random(), 0.72 + 0.16 * generator.random()),
        blood=_hsv(-6 + 8 * generator.random(), 0.9, 0.38 + 0.25 * generator.random()),
        fatness=float(trait[5]),
        texture_px=height * (0.06 + 0.22 * trait[6]),
        closeness=generator.uniform(0.85, 1.2),
        mirrored=bool(generator.random() < 0.4),
        tilt=generator.uniform(-0.4, 0.4),
    )


def spread_out(seed: int, video: int, num_traits: int) -> np.ndarray:
    """Numbers in 0–1 that cover the unit cube evenly as `video` counts up (an additive recurrence)."""
    root = 1.0
    for _ in range(40):  # the generalised golden ratio, x^(d+1) = x + 1
        root = (1 + root) ** (1 / (num_traits + 1))
    steps = root ** -np.arange(1.0, num_traits + 1)
    return (numpy_generator(seed, "traits").random(num_traits) + video * steps) % 1


def _hsv(hue_degrees: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb((hue_degrees % 360) / 360, saturation, value)
