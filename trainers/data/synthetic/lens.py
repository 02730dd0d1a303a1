"""Effects of camera, lamp and lens on a video: light, colour, contrast, vignette, smudges, motion blur."""

import cv2
import numpy as np

from trainers.data.synthetic.hospitals import Camera, Hospital
from trainers.data.synthetic.paint import fractal_noise
from trainers.data.synthetic.patient import spread_out
from trainers.runtime.randomness import numpy_generator

UNIT_LIGHT = 160
"""The light map's value that leaves a pixel as it is."""
SMUDGE_SECONDS = 3


class Lens:
    """One video's optics; every trait differs strongly between neighbouring videos."""

    def __init__(self, seed: int, video: int, width: int, height: int, num_frames: int, hospital: Hospital) -> None:
        camera, frames_per_second = hospital.camera, hospital.frames_per_second
        generator = numpy_generator(seed, "lens", video)
        self._height = height
        self._light = _light_map(generator, spread_out(seed, video, 5), width, height, camera)
        levels = np.linspace(0, 1, 256) ** generator.uniform(*camera.gamma)
        self._tone = np.rint(255 * levels).astype(np.uint8)
        smudge = np.clip(1.6 * fractal_noise(generator, width, height, height / 2, 2) - 1.2, 0, 1)
        self._smudge = np.repeat((255 * smudge)[..., None], 3, axis=2).astype(np.uint8)
        smudge_frames = SMUDGE_SECONDS * frames_per_second
        dirty = generator.random(num_frames // smudge_frames + 1) < generator.choice([0, 0.1, 0.5])
        self._dirty = np.repeat(dirty, smudge_frames)
        self._jerks = _jerks(generator, num_frames, frames_per_second)

    def seen_through(self, image: np.ndarray, index: int) -> np.ndarray:
        """The recorded RGB image (H×W×3, uint8) of a frame's view before the lens."""
        blur_px = int(self._jerks[index] * self._height)
        if blur_px > 1:
            image = cv2.blur(image, (blur_px, 1 + blur_px // 3))
        if self._dirty[index]:
            soft = cv2.blur(image, (1 + self._height // 16, 1 + self._height // 16))
            clear = cv2.multiply(image, cv2.bitwise_not(self._smudge), scale=1 / 255)
            image = cv2.add(clear, cv2.multiply(soft, self._smudge, scale=1 / 255))
        return cv2.LUT(cv2.multiply(image, self._light, scale=1 / UNIT_LIGHT), self._tone)


def _light_map(
    generator: np.random.Generator, traits: np.ndarray, width: int, height: int, camera: Camera
) -> np.ndarray:
    """The factor of a frame (H×W×3, uint8): falloff, white balance, vignette and black margins."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = (columns - width / 2) / height, (rows - height / 2) / height
    off_x, off_y = generator.normal(0, 0.12, 2)
    light = 1.12 - generator.uniform(0.2, 0.75) * ((x - off_x) ** 2 + (y - off_y) ** 2)
    light *= 0.75 + 0.5 * traits[0]
    if traits[3] < camera.round_share:  # the scope's round field of view
        radius = generator.uniform(0.52, 0.72)
        light *= np.clip((radius - np.hypot(x, y)) * height / 3 + 0.5, 0, 1)
    if traits[4] < camera.bars_share:  # the recorder's black bars
        light *= np.abs(x) < width / height / 2 - generator.uniform(0.03, 0.16)
    balance = np.array([1 + 0.22 * (traits[1] - 0.5), 1.0, 1 + 0.5 * (traits[2] - 0.5)]) * camera.tint
    light_map: np.ndarray = np.clip(UNIT_LIGHT * np.maximum(light, 0)[..., None] * balance, 0, 255).astype(np.uint8)
    return light_map


def _jerks(generator: np.random.Generator, num_frames: int, frames_per_second: int) -> np.ndarray:
    """Motion blur of every frame in frame heights, mostly none."""
    jerks = np.zeros(num_frames)
    for _ in range(max(1, num_frames // (12 * frames_per_second))):
        start, length = generator.integers(num_frames), generator.integers(5, 14)
        jerks[start : start + length] = generator.uniform(0.02, 0.05)
    return jerks
