"""A view of a frame from what was drawn for it, and the plain view of evaluation.

The views have the meaning that torchvision's transforms of PIL images give them (8-bit steps, clamped and truncated,
hue turned in HSV), computed with OpenCV, which is several times faster. Colours and blur are computed where there are
fewer pixels: in the crop before it is enlarged, or in the view to which it was reduced.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from trainers.data.colours import Adjustment, Colours

AREA_REDUCTION = 1.5
"""A reduction above this averages pixels; below it, bilinear interpolation aliases no worse than PIL's."""
BLUR_REACH = 2.5
"""Radius of the blur's kernel, in standard deviations."""


class Crop(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class ViewDraw(NamedTuple):
    """All that is random in one view."""

    crop: Crop
    jitter: tuple[tuple[Adjustment, float], ...]
    """Colour adjustments and their factors, in the order they are made."""
    grayscale: bool
    blur_sigma: float | None
    """Standard deviation in pixels of the view."""
    flip: bool


def write_view(image: np.ndarray, draw: ViewDraw, planes: np.ndarray) -> None:
    """Writes the view that was drawn of an RGB image (H×W×3, uint8) as planes (3×S×S, uint8)."""
    crop, size_px = draw.crop, planes.shape[-1]
    view = image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    enlarged = crop.height * crop.width < size_px * size_px
    if not enlarged:
        view = resize(view, size_px)
    view = _adjusted(view, draw, size_px)
    if enlarged:
        view = resize(view, size_px)
    if draw.flip:
        view = cv2.flip(view, 1)
    write_planes(view, planes)


def write_planes(image: np.ndarray, planes: np.ndarray) -> None:
    """Writes an image (S×S×3, or S×S gray) as planes (3×S×S)."""
    if image.ndim == 2:
        planes[:] = image
    else:
        cv2.split(image, list(planes))


def plain(image: np.ndarray, size_px: int) -> np.ndarray:
    """The whole image (H×W×3, uint8) at size_px×size_px: what fine-tuning, features and the probe see."""
    return resize(image, size_px)


def resize(image: np.ndarray, size_px: int) -> np.ndarray:
    """The image (H×W or H×W×3, uint8) at size_px×size_px."""
    reduction = math.sqrt(image.shape[0] * image.shape[1]) / size_px
    interpolation = cv2.INTER_AREA if reduction > AREA_REDUCTION else cv2.INTER_LINEAR
    return cv2.resize(image, (size_px, size_px), interpolation=interpolation)


def blur(image: np.ndarray, sigma: float, vertical_sigma: float | None = None) -> np.ndarray:
    """The image (H×W or H×W×3, uint8) under a Gaussian; borders are repeated.

    Args:
        image: what is blurred.
        sigma: standard deviation in pixels.
        vertical_sigma: another one for the vertical direction.
    """
    across = _kernel(sigma)
    down = across if vertical_sigma is None else _kernel(vertical_sigma)
    return cv2.sepFilter2D(image, -1, across, down, borderType=cv2.BORDER_REPLICATE)


def _adjusted(view: np.ndarray, draw: ViewDraw, size_px: int) -> np.ndarray:
    """The crop (H×W×3) under jitter, grayscale and blur; H×W where it is gray."""
    if draw.jitter:
        colours = Colours(view)
        for adjust, factor in draw.jitter:
            adjust(colours, factor)
        view = colours.pixels()
    if draw.grayscale:
        view = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)  # one channel from here on: the rest costs a third
    if draw.blur_sigma is not None:
        height, width = view.shape[:2]
        view = blur(view, draw.blur_sigma * width / size_px, draw.blur_sigma * height / size_px)
    return view


def _kernel(sigma: float) -> np.ndarray:
    return cv2.getGaussianKernel(2 * math.ceil(BLUR_REACH * sigma) + 1, sigma)
