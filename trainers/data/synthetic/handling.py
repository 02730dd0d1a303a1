"""Movements of a synthetic operation: of its instruments and of the camera."""

import numpy as np

from trainers.data.synthetic.operation import CLEANING, FPS, NO_PORT, PREPARATION, ToolUse

ENTRY_SECONDS = 0.5
STEADINESS = {PREPARATION: 0.16, CLEANING: 0.2}
"""Amplitude of a tip's movement about its workplace; 0.12 elsewhere."""


class Handling:
    """Movement of one instrument while it is in view."""

    def __init__(self, generator: np.random.Generator, use: ToolUse, frames_per_second: int = FPS) -> None:
        num_frames = use.stop - use.start
        self.use = use
        self._entry_frames = ENTRY_SECONDS * frames_per_second
        self.is_bag = use.port == NO_PORT
        amplitude = 0.05 if self.is_bag else STEADINESS.get(use.phase, 0.12)
        seconds = generator.uniform(2.0, 5.0)
        self.wander = amplitude * wander(generator, num_frames, 2, seconds, frames_per_second)
        self.wander += generator.normal(0, 0.04, 2)
        self.opening = np.clip(0.45 + 0.45 * wander(generator, num_frames, 1, 1.6, frames_per_second)[:, 0], 0, 1)
        self.port_shift = generator.normal(0, 0.12, 2)
        self.size = float(generator.uniform(0.9, 1.12))
        self.flipped = bool(generator.random() < 0.25)

    def reach(self, index: int) -> float:
        """0 at the port, 1 at work; instruments come and go within half a second."""
        ramp = min(self._entry_frames, (self.use.stop - self.use.start) / 3)
        inside = min(index - self.use.start + 1, self.use.stop - index) / ramp
        ease = min(1.0, 0.35 + 0.65 * inside)  # a tip is in view from its first frame
        return ease * ease * (3 - 2 * ease)


def wander(
    generator: np.random.Generator,
    num_frames: int,
    num_paths: int,
    period_seconds: float,
    frames_per_second: int = FPS,
) -> np.ndarray:
    """Smooth random paths of about unit size, num_frames×num_paths."""
    time = np.arange(num_frames)[:, None] / (frames_per_second * period_seconds)
    total: np.ndarray = np.zeros((num_frames, num_paths))
    for weight, rate in ((0.75, 1.0), (0.5, 1.9), (0.25, 4.3)):
        rates = rate * generator.uniform(0.75, 1.3, num_paths)
        total += weight * np.sin(2 * np.pi * (time * rates + generator.random(num_paths)))
    return total


def camera_path(generator: np.random.Generator, num_frames: int, frames_per_second: int = FPS) -> np.ndarray:
    """Pan x, pan y (in frame heights), turn (radians) and zoom of every frame."""
    slow = wander(generator, num_frames, 4, generator.uniform(6, 11), frames_per_second)
    shake = wander(generator, num_frames, 4, 0.8, frames_per_second)
    path: np.ndarray = slow * [0.085, 0.06, 0.1, 0.08] + shake * [0.004, 0.004, 0.003, 0.002]
    path[:, 3] = np.exp(path[:, 3] + generator.uniform(-0.05, 0.15))
    return path
