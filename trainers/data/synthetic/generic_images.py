"""Generic, non-surgical images drawn from a seed, for pre-training in place of public weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from trainers.data.frames import Frame, FrameSource, write_frames
from trainers.data.synthetic.brushes import background, plane
from trainers.data.synthetic.generic_patterns import CLASSES, PATTERNS
from trainers.fields import Count, Pixels, Seed
from trainers.runtime.randomness import numpy_generator
from trainers.stage import InputError, Work

SECONDS_PER_IMAGE_AT_80_PX = 0.0007
MIN_SIZE_PX = 16


@dataclass(frozen=True)
class GenericImages(FrameSource):
    """A frame store of procedurally generated images; an image depends on the seed and its index alone."""

    num_images: Count
    size_px: Pixels
    seed: Seed = 0

    @property
    def num_source_frames(self) -> int:
        return self.num_images

    def run(self, work: Work) -> None:
        if self.size_px < MIN_SIZE_PX:
            raise InputError(
                f"GenericImages asks for {self.num_images} images of {self.size_px} px: "
                f"{MIN_SIZE_PX} px are the fewest."
            )
        cv2.setNumThreads(0)
        source = f"generic-{self.seed}-{self.size_px}"
        write_frames(work.output, self._frames(), source=source, label_names=CLASSES)

    def expected_seconds(self) -> float:
        return 0.5 + self.num_images * SECONDS_PER_IMAGE_AT_80_PX * (self.size_px / 80) ** 2

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.num_images):
            image, label = draw(self.seed, index, self.size_px)
            yield Frame(index, label, image)


def draw(seed: int, index: int, size_px: int) -> tuple[np.ndarray, int]:
    """Draws one generic image.

    Args:
        seed: of the set of images.
        index: of the image in the set.
        size_px: its width and height.

    Returns:
        The RGB image (size_px×size_px×3, uint8) and the index of its class in `CLASSES`.
    """
    generator = numpy_generator(seed, "generic", index)
    label = int(generator.integers(len(CLASSES)))
    image = background(generator, size_px)
    image = PATTERNS[CLASSES[label]](generator, image)
    return _lit(generator, image), label


def _lit(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image with uneven light, blur and grain as in photographs, each with some probability."""
    chance = generator.random(3)
    size = len(image)
    if chance[0] < 0.4:
        x, _ = plane(generator, size)
        light = np.clip(1 + generator.uniform(0.1, 0.45) * x, 0, 2).astype(np.float32)
        image = cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)
    if chance[1] < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.4, 1.6))
    if chance[2] < 0.35:
        grain = generator.standard_normal(image.shape, np.float32) * np.float32(generator.uniform(3, 12))
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    return image
