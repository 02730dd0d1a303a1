"""Random views of a frame: what MoCo v2 and SwAV draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trainers.data.colours import ADJUSTMENTS, Adjustment
from trainers.data.views import Crop, ViewDraw
from trainers.fields import CountOrZero, Hue, Pixels, Positive, Probability, Share, Weight
from trainers.stage import Config

ASPECT_RATIOS = (3 / 4, 4 / 3)
"""Narrowest and widest crop, as width over height."""
CROP_ATTEMPTS = 10
NUMBERS_PER_CROP = 2 + 2 * CROP_ATTEMPTS
NUMBERS_PER_VIEW = 5 + 2 * len(ADJUSTMENTS) + NUMBERS_PER_CROP
"""How many uniform numbers decide a view."""


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

    revision: ClassVar[int] = 2

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

    def draw(self, numbers: Sequence[float], height: int, width: int, index: int = 0) -> ViewDraw:
        """One view of an image of that size, of side sizes_px[index].

        Args:
            numbers: NUMBERS_PER_VIEW uniform ones from [0, 1).
            height: of the image, in pixels.
            width: of the image, in pixels.
            index: which of the frame's views.
        """
        jittered, gray, blurred, flipped, position = numbers[:5]
        smallest, largest = self.blur_sigma
        return ViewDraw(
            crop=draw_crop(numbers[-NUMBERS_PER_CROP:], height, width, *self._scales(index)),
            jitter=self._draw_jitter(numbers[5:13]) if jittered < self.jitter_probability else (),
            grayscale=gray < self.grayscale_probability,
            blur_sigma=smallest + position * (largest - smallest) if blurred < self.blur_probability else None,
            flip=flipped < self.flip_probability,
        )

    def _scales(self, index: int) -> tuple[float, float]:
        """Smallest and largest area of a view's crop, as fractions of the image."""
        return self.min_scale, 1.0

    def _draw_jitter(self, numbers: Sequence[float]) -> tuple[tuple[Adjustment, float], ...]:
        strengths = (self.brightness, self.contrast, self.saturation)
        ranges = [(max(0.0, 1 - strength), 1 + strength) for strength in strengths] + [(-self.hue, self.hue)]
        positions, places = numbers[:4], numbers[4:]
        factors = [low + position * (high - low) for (low, high), position in zip(ranges, positions, strict=True)]
        order = sorted(range(4), key=places.__getitem__)
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


def draw_crop(numbers: Sequence[float], height: int, width: int, min_scale: float, max_scale: float = 1.0) -> Crop:
    """A crop of uniform area and log-uniform aspect ratio that fits, as torchvision's RandomResizedCrop draws it.

    After ten attempts that do not fit, the largest central crop of an allowed aspect ratio.

    Args:
        numbers: NUMBERS_PER_CROP uniform ones from [0, 1).
        height: of the image, in pixels.
        width: of the image, in pixels.
        min_scale: smallest area of the crop, as a fraction of the image.
        max_scale: largest area of the crop, as a fraction of the image.
    """
    vertical, horizontal = numbers[:2]
    narrowest, widest = map(math.log, ASPECT_RATIOS)
    for scale, aspect in zip(numbers[2::2], numbers[3::2], strict=True):
        area = height * width * (min_scale + scale * (max_scale - min_scale))
        ratio = math.exp(narrowest + aspect * (widest - narrowest))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = int(vertical * (height - crop_height + 1))
            left = int(horizontal * (width - crop_width + 1))
            return Crop(top, left, crop_height, crop_width)
    return _central_crop(height, width)


def _central_crop(height: int, width: int) -> Crop:
    narrowest, widest = ASPECT_RATIOS
    crop_width, crop_height = width, height
    if width / height < narrowest:
        crop_height = round(width / narrowest)
    elif width / height > widest:
        crop_width = round(height * widest)
    return Crop((height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width)
