"""The black margins that recorders put around the picture: found once per video, cut from each of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from trainers.artifacts.audit import MarginWidths

NUM_SAMPLES = 16
"""Number of frames, spread over the video, in which the margins are found."""
DARKEST_CONTENT = 24
"""Grey level (of 255) above which a pixel belongs to the picture; noise and compression stay below it in a margin."""
LEAST_CONTENT = 0.02
"""Share of bright pixels from which a column or a row belongs to the picture."""
SMALLEST_PICTURE = 0.25
"""Share of the width or height that a picture fills at least; whatever is smaller is no picture but a dark video."""


@dataclass(frozen=True)
class Margins:
    """Pixels cut from each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def widths(self) -> MarginWidths:
        """The four widths, as an audit holds them."""
        return {"left": self.left, "top": self.top, "right": self.right, "bottom": self.bottom}

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The picture inside the margins (a view of an H×W×3 image)."""
        height, width = image.shape[:2]
        return image[self.top : height - self.bottom, self.left : width - self.right]


def find_margins(samples: Sequence[np.ndarray]) -> Margins | None:
    """The margins that are black in every sample, so that a dark frame among them does no harm.

    Args:
        samples: RGB images (H×W×3, uint8) of one video, of one size.

    Returns:
        The margins of the smallest rectangle that holds the picture; None where all samples are too dark to tell.
    """
    brightest = reduce(np.maximum, samples).max(axis=2)
    bright = cv2.medianBlur(brightest, 5) > DARKEST_CONTENT
    left, right = _ends(bright.mean(axis=0) >= LEAST_CONTENT)
    top, bottom = _ends(bright.mean(axis=1) >= LEAST_CONTENT)
    height, width = bright.shape
    if width - left - right < SMALLEST_PICTURE * width or height - top - bottom < SMALLEST_PICTURE * height:
        return None
    return Margins(left=left, top=top, right=right, bottom=bottom)


def _ends(is_content: np.ndarray) -> tuple[int, int]:
    """The numbers of entries before the first and after the last true one."""
    found = np.flatnonzero(is_content)
    if not len(found):
        return len(is_content), 0
    return int(found[0]), len(is_content) - 1 - int(found[-1])


def resize(image: np.ndarray, size_px: int) -> np.ndarray:
    """The image, stretched to a square of `size_px`."""
    reducing = min(image.shape[:2]) >= size_px
    return cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA if reducing else cv2.INTER_LINEAR)
