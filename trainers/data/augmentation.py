"""Views of a frame: MoCo v2's and SwAV's random ones, and the plain view of evaluation.

The views have the meaning that torchvision's transforms of PIL images give them (8-bit steps, clamped and truncated,
hue turned in HSV), computed with OpenCV, which is several times faster.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from trainers.fields import CountOrZero, Hue, Pixels, Positive, Probability, Share, Weight
from trainers.stage import Config

ASPECT_RATIOS = (3 / 4, 4 / 3)
"""Narrowest and widest crop, as width over height."""
CROP_ATTEMPTS = 10
AREA_REDUCTION = 1.5
"""A reduction above this averages pixels; below it, bilinear interpolation aliases no worse than PIL's."""
TRUNCATE = -0.5 + 1 / 4096
"""Added before OpenCV rounds to the nearest integer, it makes PIL's truncation of it."""
BLUR_REACH = 2.5
"""Radius of the blur's kernel, in standard deviations."""

Adjustment = Callable[[np.ndarray, float], np.ndarray]


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class ViewDraw:
    """All that is random in one view."""

    crop: Crop
    jitter: tuple[tuple[Adjustment, float], ...]
    """Colour adjustments and their factors, in the order they are made."""
    grayscale: bool
    blur_sigma: float | None
    flip: bool


@dataclass(frozen=True, kw_only=True)
class MoCoAugmentation(Config):
    """The augmentation of MoCo v2 (Chen et al. 2020, arXiv 2003.04297, Sec. 2; strengths as in its code).

    In this order: a crop of random area and aspect ratio, colour jitter, grayscale, Gaussian blur, horizontal flip.

    Attributes:
        size_px: side of a view.
        min_scale: smallest area of a crop, as a fraction of the image.
        brightness: largest relative change of brightness; `contrast` and `saturation` likewise.
        hue: largest turn of the hue, as a fraction of the full circle.
        jitter_probability: of the four colour adjustments together, in random order.
        blur_sigma: smallest and largest standard deviation of the blur, in pixels of the view.
    """

    size_px: Pixels = 224
    min_scale: Share = 0.2
    brightness: Weight = 0.4
    contrast: Weight = 0.4
    saturation: Weight = 0.4
    hue: Hue = 0.1
    jitter_probability: Probability = 0.8
    grayscale_probability: Probability = 0.2
    blur_probability: Probability = 0.5
    blur_sigma: tuple[Positive, Positive] = (0.1, 2.0)
    flip_probability: Probability = 0.5

    @property
    def sizes_px(self) -> tuple[int, ...]:
        """Side of every view of a frame: the two that methods compare, and further ones of a subclass."""
        return self.size_px, self.size_px

    def view(self, image: np.ndarray, generator: np.random.Generator, index: int = 0) -> np.ndarray:
        """A random view (S×S×3, uint8) of an RGB image (H×W×3, uint8), where S = sizes_px[index]."""
        height, width = image.shape[:2]
        return apply(image, self.draw(generator, height, width, index), self.sizes_px[index])

    def draw(self, generator: np.random.Generator, height: int, width: int, index: int = 0) -> ViewDraw:
        """Draws one view of an image of that size; every view takes equally many numbers from the generator."""
        crop = draw_crop(generator, height, width, *self._scales(index))
        jittered, gray, blurred, flipped, position = generator.random(5).tolist()
        jitter = self._draw_jitter(generator)
        smallest, largest = self.blur_sigma
        return ViewDraw(
            crop=crop,
            jitter=jitter if jittered < self.jitter_probability else (),
            grayscale=gray < self.grayscale_probability,
            blur_sigma=smallest + position * (largest - smallest) if blurred < self.blur_probability else None,
            flip=flipped < self.flip_probability,
        )

    def _scales(self, index: int) -> tuple[float, float]:
        """Smallest and largest area of a view's crop, as fractions of the image."""
        return self.min_scale, 1.0

    def _draw_jitter(self, generator: np.random.Generator) -> tuple[tuple[Adjustment, float], ...]:
        strengths = (self.brightness, self.contrast, self.saturation)
        ranges = [(max(0.0, 1 - strength), 1 + strength) for strength in strengths] + [(-self.hue, self.hue)]
        positions = generator.random(4).tolist()
        factors = [low + position * (high - low) for (low, high), position in zip(ranges, positions, strict=True)]
        order = generator.random(4).argsort().tolist()
        return tuple((ADJUSTMENTS[i], factors[i]) for i in order if ranges[i][0] < ranges[i][1])


@dataclass(frozen=True, kw_only=True)
class MultiCropAugmentation(MoCoAugmentation):
    """The augmentation of SwAV (Caron et al. 2020, arXiv 2006.09882, Sec. 3.2; strengths as in its code).

    The two views of `size_px` are followed by small ones of small parts of the frame.

    Attributes:
        num_small: number of small views.
        small_size_px: side of a small view.
        small_scale: smallest and largest area of a small view's crop, as fractions of the image.
    """

    min_scale: Share = 0.14
    brightness: Weight = 0.8
    contrast: Weight = 0.8
    saturation: Weight = 0.8
    hue: Hue = 0.2
    num_small: CountOrZero = 6
    small_size_px: Pixels = 96
    small_scale: tuple[Share, Share] = (0.05, 0.14)

    @property
    def sizes_px(self) -> tuple[int, ...]:
        return (*super().sizes_px, *(self.small_size_px,) * self.num_small)

    def _scales(self, index: int) -> tuple[float, float]:
        return super()._scales(index) if index < 2 else self.small_scale


def apply(image: np.ndarray, draw: ViewDraw, size_px: int) -> np.ndarray:
    """The view (size_px×size_px×3, uint8) of an RGB image (H×W×3, uint8) that was drawn."""
    crop = draw.crop
    view = resize(image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width], size_px)
    for adjust, factor in draw.jitter:
        view = adjust(view, factor)
    if draw.grayscale:
        view = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)  # one channel until the end: the blur costs a third
    if draw.blur_sigma is not None:
        view = blur(view, draw.blur_sigma)
    if draw.flip:
        view = cv2.flip(view, 1)
    return cv2.cvtColor(view, cv2.COLOR_GRAY2RGB) if draw.grayscale else view


def draw_crop(
    generator: np.random.Generator, height: int, width: int, min_scale: float, max_scale: float = 1.0
) -> Crop:
    """A crop of uniform area and log-uniform aspect ratio that fits, as torchvision's RandomResizedCrop draws it.

    After ten attempts that do not fit, the largest central crop of an allowed aspect ratio.

    Args:
        generator: gives 22 numbers, however many attempts were needed.
        height: of the image, in pixels.
        width: of the image, in pixels.
        min_scale: smallest area of the crop, as a fraction of the image.
        max_scale: largest area of the crop, as a fraction of the image.
    """
    attempts = generator.random((CROP_ATTEMPTS, 2)).tolist()
    vertical, horizontal = generator.random(2).tolist()
    narrowest, widest = map(math.log, ASPECT_RATIOS)
    for scale, aspect in attempts:
        area = height * width * (min_scale + scale * (max_scale - min_scale))
        ratio = math.exp(narrowest + aspect * (widest - narrowest))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = int(vertical * (height - crop_height + 1))
            left = int(horizontal * (width - crop_width + 1))
            return Crop(top, left, crop_height, crop_width)
    return _central_crop(height, width)


def resize(image: np.ndarray, size_px: int) -> np.ndarray:
    """The image (H×W or H×W×3, uint8) at size_px×size_px."""
    reduction = math.sqrt(image.shape[0] * image.shape[1]) / size_px
    interpolation = cv2.INTER_AREA if reduction > AREA_REDUCTION else cv2.INTER_LINEAR
    return cv2.resize(image, (size_px, size_px), interpolation=interpolation)


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """The RGB image (H×W×3, uint8) blended with black; factor 1 leaves it."""
    return cv2.addWeighted(image, factor, image, 0, TRUNCATE)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """The RGB image (H×W×3, uint8) blended with the rounded mean of its grayscale; factor 1 leaves it."""
    mean = int(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0] + 0.5)
    return cv2.addWeighted(image, factor, image, 0, (1 - factor) * mean + TRUNCATE)


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """The RGB image (H×W×3, uint8) blended with its grayscale; factor 1 leaves it."""
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, gray, 1 - factor, TRUNCATE)


def adjust_hue(image: np.ndarray, turn: float) -> np.ndarray:
    """The RGB image (H×W×3, uint8) with its hue turned by a fraction of the full circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    # OpenCV rounds the hue to 1/256 of the circle, PIL truncates to 1/255: on average one step lower.
    hsv[..., 0] += np.uint8((int(turn * 255) - 1) % 256)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


ADJUSTMENTS: tuple[Adjustment, ...] = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image (H×W or H×W×3, uint8) under a Gaussian of that standard deviation in pixels; borders are repeated."""
    kernel = cv2.getGaussianKernel(2 * math.ceil(BLUR_REACH * sigma) + 1, sigma)
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)


def plain(image: np.ndarray, size_px: int) -> np.ndarray:
    """The whole image (H×W×3, uint8) at size_px×size_px: what fine-tuning, features and the probe see."""
    return resize(image, size_px)


def _central_crop(height: int, width: int) -> Crop:
    narrowest, widest = ASPECT_RATIOS
    crop_width, crop_height = width, height
    if width / height < narrowest:
        crop_height = round(width / narrowest)
    elif width / height > widest:
        crop_width = round(height * widest)
    return Crop((height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width)
