"""Samples of a recording: small pictures of some of its frames without margins, which tell stretches and copies."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trainers.data.ingest.margins import Margins, find_margins
from trainers.data.ingest.pictures import Pictures, TimedImage

SIDE_PX = 48
"""Of a sample, which is stretched to a square."""
STEP_SECONDS = 2.0
MOST_SAMPLES = 1800
"""Per recording: an hour with one every two seconds; in longer ones they are further apart."""
SHORT_SECONDS, SHORT_STEP_SECONDS = 60.0, 1.0
"""Up to this length a recording has a sample every second."""
IMAGES_FOR_MARGINS = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """Small grey pictures of a recording at some times.

    Attributes:
        seconds: when they are shown, from the first frame on (N, float64), ascending.
        pictures: what is inside the black margins (N×S×S, uint8).
    """

    seconds: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    def thinned(self, most: int) -> "Samples":
        """Up to so many of them, spread evenly."""
        kept = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int))
        return Samples(seconds=self.seconds[kept], pictures=self.pictures[kept])


@dataclass(frozen=True, eq=False)
class Sampler:
    """Takes samples of one recording: its margins are found once.

    Attributes:
        pictures: of the recording.
        margins: by the size of the pictures, of which a recording may have several.
    """

    pictures: Pictures
    margins: dict[tuple[int, ...], Margins]

    def of(self, images: Iterable[TimedImage]) -> Samples:
        """Samples of pictures of this recording."""
        found = [(time, self._sample(image)) for time, image in images]
        pictures = [image for _, image in found]
        return Samples(
            seconds=np.array([time for time, _ in found], np.float64),
            pictures=np.stack(pictures) if pictures else np.empty((0, SIDE_PX, SIDE_PX), np.uint8),
        )

    def nearest(self, seconds: Sequence[float], within: float) -> Samples:
        """Samples at the frames nearest to some times (ascending), where there are any that near."""
        return self.of(self.pictures.nearest(seconds, within))

    def between(self, start: float, stop: float) -> Samples:
        """Samples of all frames from `start` up to, not including, `stop`."""
        return self.of(self.pictures.between(start, stop))

    def _sample(self, image: np.ndarray) -> np.ndarray:
        inner = self.margins.get(image.shape, Margins()).cut(image)
        return cv2.resize(inner, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def take(pictures: Pictures, length: float) -> tuple[Sampler, Samples]:
    """Samples of a recording, and what takes further ones.

    Args:
        pictures: of the recording.
        length: of the recording, in seconds; a short one is decoded whole, as it has few key frames.
    """
    if length <= SHORT_SECONDS:
        images = list(pictures.apart(SHORT_STEP_SECONDS))
    else:
        images = list(pictures.keys(STEP_SECONDS, MOST_SAMPLES))
    sampler = Sampler(pictures, dict(_margins(images)))
    return sampler, sampler.of(images)


def _margins(images: list[TimedImage]) -> Iterator[tuple[tuple[int, ...], Margins]]:
    for shape in {image.shape for _, image in images}:
        alike = [image[..., None] for _, image in images if image.shape == shape]
        found = find_margins(alike[:: max(1, len(alike) // IMAGES_FOR_MARGINS)])
        if found is not None:
            yield shape, found
