"""Rich images of no surgical content, drawn from a seed, for the training of free models."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from trainers.data.frames import Frame, FrameSource, write_frames
from trainers.data.synthetic.drawing import painted
from trainers.data.synthetic.themes import CLASSES, drawn_theme
from trainers.fields import Count, CountOrZero, Pixels, Seed, added
from trainers.runtime.randomness import numpy_generator
from trainers.stage import InputError, Work

SECONDS_PER_IMAGE_AT_64_PX = 0.001
MIN_SIZE_PX = 16


@dataclass(frozen=True, kw_only=True)
class DrawnImages(FrameSource):
    """A frame store of drawn images: textured grounds, things of any shape on them, light and shadow.

    An image depends on the seed, the numbers of images of a theme and of a scene, its size and its index alone. Parts
    of one set, which several processes draw, are those of the whole.

    Attributes:
        num_images: number of images.
        size_px: their width and height.
        first: index of the first one.
        per_theme: images that share colours, kinds of texture and of things, and light.
        seed: of the set.
        per_scene: photographs of a scene, which show everything at the same place: they differ in exposure, falloff of
            light, blur and grain.
    """

    num_images: Count
    size_px: Pixels
    first: CountOrZero = 0
    per_theme: Count = 1
    seed: Seed = 0
    per_scene: Count = added(1)

    @property
    def num_source_frames(self) -> int:
        return self.num_images

    def run(self, work: Work) -> None:
        if self.size_px < MIN_SIZE_PX:
            raise InputError(f"DrawnImages asks for images of {self.size_px} px: {MIN_SIZE_PX} px are the fewest.")
        cv2.setNumThreads(0)
        scenes = f"-{self.per_scene}" if self.per_scene > 1 else ""
        source = f"drawn-{self.seed}-{self.per_theme}-{self.size_px}{scenes}"
        write_frames(work.output, self._frames(), source=source, label_names=CLASSES)

    def expected_seconds(self) -> float:
        return 0.5 + self.num_images * SECONDS_PER_IMAGE_AT_64_PX * (self.size_px / 64) ** 2

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.first, self.first + self.num_images):
            image, label = draw(self.seed, index, self.size_px, self.per_theme, self.per_scene)
            yield Frame(index, label, image)


def draw(seed: int, index: int, size_px: int, per_theme: int = 1, per_scene: int = 1) -> tuple[np.ndarray, int]:
    """Draws one image.

    Args:
        seed: of the set of images.
        index: of the image in the set.
        size_px: its width and height.
        per_theme: images of the set that share a theme; a scene is of one theme in any case.
        per_scene: images of the set that are photographs of one scene.

    Returns:
        The RGB image (size_px×size_px×3, uint8) and the index of its class in `CLASSES`.
    """
    first = index - index % per_scene
    theme = drawn_theme(numpy_generator(seed, "theme", first // per_theme))
    scene = numpy_generator(seed, "drawn image", index // per_scene)
    camera = numpy_generator(seed, "photograph", index) if per_scene > 1 else None
    return painted(scene, theme, size_px, camera), theme.label
