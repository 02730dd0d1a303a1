"""Colour jitter with the meaning of torchvision's transforms of PIL images, in few passes over the pixels.

Brightness, contrast and saturation are affine in the colours, so that consecutive ones are made in one pass as long as
none of them can leave a colour outside 0..255, where PIL would clamp it before the next.
"""

from collections.abc import Callable

import cv2
import numpy as np

GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114])
TRUNCATE = -0.5 + 1 / 4096
"""Added before OpenCV rounds to the nearest integer, it makes PIL's truncation of it."""
MEAN_TRUNCATED = -0.5
"""Of all colours, what truncation to a whole number adds on average."""


class Colours:
    """An image (H×W×3, uint8 RGB) under colour adjustments, which are made when its pixels are asked for.

    What is still to be made of a colour x with grayscale g is `own · x + gray · g + offset`, in every channel.
    """

    def __init__(self, image: np.ndarray) -> None:
        self._image = image
        self._own, self._gray, self._offset = 1.0, 0.0, 0.0
        self._pending = False
        self._may_clamp = False

    def pixels(self) -> np.ndarray:
        """The adjusted image; the one that was given is never written to."""
        if self._pending:
            matrix = np.empty((3, 4))
            matrix[:, :3] = self._gray * GRAY_WEIGHTS
            matrix[:, 3] = self._offset + TRUNCATE
            matrix[0, 0] += self._own
            matrix[1, 1] += self._own
            matrix[2, 2] += self._own
            self._image = cv2.transform(self._image, matrix)
            self._own, self._gray, self._offset = 1.0, 0.0, 0.0
            self._pending = self._may_clamp = False
        return self._image

    def brighten(self, factor: float) -> None:
        """Blends with black; factor 1 leaves the image."""
        self._begin(factor)
        self._own, self._gray, self._offset = self._own * factor, self._gray * factor, self._offset * factor

    def contrast(self, factor: float) -> None:
        """Blends with the rounded mean of the grayscale; factor 1 leaves the image."""
        self._begin(factor)
        mean = (self._own + self._gray) * _mean_gray(self._image) + self._offset
        self._own, self._gray = self._own * factor, self._gray * factor
        self._offset = self._offset * factor + (1 - factor) * int(mean + 0.5)

    def saturate(self, factor: float) -> None:
        """Blends with the grayscale; factor 1 leaves the image."""
        self._begin(factor)
        own, gray = self._own, self._gray
        self._own, self._gray = own * factor, gray * factor + (own + gray) * (1 - factor)

    def turn_hue(self, turn: float) -> None:
        """Turns the hue by a fraction of the full circle."""
        hsv = cv2.cvtColor(self.pixels(), cv2.COLOR_RGB2HSV_FULL)
        # OpenCV rounds the hue to 1/256 of the circle, PIL truncates to 1/255: on average one step lower.
        step = np.zeros((hsv.shape[1], 3), np.uint8)
        step[:, 0] = (int(turn * 255) - 1) % 256
        rows = hsv.reshape(len(hsv), -1)
        np.add(rows, step.reshape(-1), out=rows)  # whole rows: several times faster than every third number
        self._image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)

    def _begin(self, factor: float) -> None:
        """Prepares for one more affine adjustment."""
        if self._may_clamp:
            self.pixels()
        if self._pending:
            self._offset += MEAN_TRUNCATED
        self._pending = True
        self._may_clamp = factor > 1


Adjustment = Callable[[Colours, float], None]

ADJUSTMENTS: tuple[Adjustment, ...] = (Colours.brighten, Colours.contrast, Colours.saturate, Colours.turn_hue)


def _mean_gray(image: np.ndarray) -> float:
    red, green, blue, _ = cv2.mean(image)
    return 0.299 * red + 0.587 * green + 0.114 * blue
