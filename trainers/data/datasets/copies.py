"""Copies of recordings, re-encoded, resized, cropped or cut ones too, found by perceptual hashes of some frames.

The hash is the difference hash: whether each cell of a coarse grid is brighter than its neighbour (128 bits). A frame
of a copy has the hash of the frame that the original shows at that time, or of a window of it where the copy was
cropped. Libraries hash whole images, whose cropped copies they do not know again; a recording is cropped alike in all
its frames, so that one window has to fit all of them.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from trainers.data.ingest.samples import SIDE_PX, Sampler, Samples

GRID = 9
"""Cells of the grid along each side: 8 differences of neighbours."""
NUM_BITS = 2 * (GRID - 1) * (GRID - 1)
CUTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
"""Shares of the width or height that a copy may have lost at each side."""
WINDOWS = np.array(list(itertools.product(CUTS, CUTS)))
"""Shares cut at the two ends of an axis."""
MOST_DIFFERENT = 0.2
"""Share of bits in which frames of a copy differ at most, on average. Copies have 0.05 or less, others 0.33 or more."""
LEAST_CONTRAST = 8.0
"""Standard deviation of grey levels below which a frame looks like many others."""
FEWEST, NUM_COMPARED = 3, 4
"""Frames that recordings are compared by."""
SAME_TIME_SECONDS = 0.1
SAME_LENGTH_SECONDS = 1.5
OFFSET_STEP_SECONDS = 2.0
POSSIBLY_THE_SAME = 0.35
"""Share of bits, of a single frame or of frames that are up to a step apart, up to which recordings are looked at."""
PAIRS_PER_OFFSET = 3
SHORTEST_PART_SECONDS, SHORTEST_PART = 10.0, 0.5
"""Recordings have in common so many seconds or this share of the shorter one: frames of less may be all one picture."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampled:
    """A recording with its samples.

    Attributes:
        digest: of the recording.
        seconds: its length.
        samples: of it.
        sampler: takes further ones; None where the recording is away.
    """

    digest: str
    seconds: float
    samples: Samples
    sampler: Callable[[], Sampler] | None = field(default=None)

    @cached_property
    def hashes(self) -> np.ndarray:
        """The hash of every sample (N×2, uint64)."""
        return _whole_hashes(self.samples)

    @cached_property
    def informative(self) -> np.ndarray:
        """Positions of the samples with enough contrast."""
        return np.flatnonzero(self.samples.pictures.std(axis=(1, 2)) >= LEAST_CONTRAST)

    @cached_property
    def compared(self) -> np.ndarray:
        """Positions of the few samples that are compared with frames at the same time."""
        found = self.informative
        chosen: np.ndarray = found[_spread(len(found))]
        return chosen

    @cached_property
    def compared_seconds(self) -> np.ndarray:
        """When these are shown."""
        shown: np.ndarray = self.samples.seconds[self.compared]
        return shown

    @cached_property
    def window_hashes(self) -> np.ndarray:
        """The hashes of all windows of the compared samples (n×W²×2, uint64)."""
        return _window_hashes(self.samples.pictures[self.compared])

    @cached_property
    def window_words(self) -> np.ndarray:
        """These hashes by their halves (2×n×W², uint64)."""
        return np.ascontiguousarray(np.moveaxis(self.window_hashes, -1, 0))


WHOLE = WINDOWS[:1]


def hashes_of(picture: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The difference hashes of all windows of a picture (S×S): one for every pair of rows of `cuts` (W²×2, uint64)."""
    ends = (cuts[:, :1] + (1 - cuts.sum(axis=1, keepdims=True)) * np.linspace(0, 1, GRID + 1)) * SIDE_PX
    edges = ends.ravel().astype(np.float32)  # between pixels, the integral image is bilinear
    sums = cv2.integral(picture).astype(np.float32)
    across_edges, down_edges = np.meshgrid(edges, edges)
    at = cv2.remap(sums, across_edges, down_edges, cv2.INTER_LINEAR)
    at = at.reshape(len(cuts), GRID + 1, len(cuts), GRID + 1).transpose(0, 2, 1, 3)
    cells = np.diff(np.diff(at, axis=2), axis=3)
    across = cells[..., : GRID - 1, 1:] > cells[..., : GRID - 1, :-1]
    down = cells[..., 1:, : GRID - 1] > cells[..., :-1, : GRID - 1]
    bits = np.stack([across, down], axis=2).reshape(len(cuts) ** 2, 2, -1)
    hashes: np.ndarray = np.packbits(bits, axis=-1).view(np.uint64)[..., 0]
    return hashes


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The share of bits in which hashes differ (…×2, uint64)."""
    different: np.ndarray = np.bitwise_count(first ^ second).sum(axis=-1, dtype=np.int64) / NUM_BITS
    return different


def _spread(count: int) -> np.ndarray:
    """Up to `NUM_COMPARED` positions, spread evenly over a sequence."""
    return np.unique(np.linspace(0, count - 1, min(NUM_COMPARED, count)).round().astype(int))


def is_copy(first: Sampled, second: Sampled) -> bool:
    """Whether recordings, or the shorter and a part of the longer, show the same frames."""
    if first.digest == second.digest:
        return True
    if min(len(first.compared), len(second.compared)) == 0:
        return False
    if abs(first.seconds - second.seconds) <= SAME_LENGTH_SECONDS and _is_same_from_start(first, second):
        return True
    return _is_part(first, second)


def _is_same_from_start(first: Sampled, second: Sampled) -> bool:
    """Whether frames at the same time are alike, one recording being a window of the other or neither cropped."""
    return any(_shows(whole, window) for whole, window in ((first, second), (second, first)))


def _shows(whole: Sampled, window: Sampled) -> bool:
    """Whether a recording shows, in some window of its frames, what another shows at the same times.

    The frames are samples of both where enough of them are at the same times; else those of one of them are decoded.
    """
    times = whole.compared_seconds
    nearest = np.abs(window.samples.seconds[None] - times[:, None]).argmin(axis=1)
    near = np.abs(window.samples.seconds[nearest] - times) <= SAME_TIME_SECONDS
    different = _least(whole.window_hashes[near], window.hashes[nearest[near]]) if near.any() else None
    if different is not None and different > POSSIBLY_THE_SAME:
        return False  # the first frame of a video is always among its samples, so that few others have to be decoded
    if different is not None and near.sum() >= FEWEST:
        return different <= MOST_DIFFERENT
    decoded_at = times if window.sampler is not None else window.compared_seconds
    if len(decoded_at) < FEWEST:
        return False
    if window.sampler is not None:
        taken = window.sampler().nearest(times.tolist(), SAME_TIME_SECONDS)
        windows, hashes = whole.window_hashes[np.isin(times, taken.seconds)], _whole_hashes(taken)
    elif whole.sampler is not None:
        taken = whole.sampler().nearest(decoded_at.tolist(), SAME_TIME_SECONDS)
        windows = _window_hashes(taken.pictures)
        hashes = window.hashes[window.compared[np.isin(decoded_at, taken.seconds)]]
    else:
        return False
    return len(hashes) >= FEWEST and _least(windows, hashes) <= MOST_DIFFERENT


def _least(windows: np.ndarray, hashes: np.ndarray) -> float:
    """The mean share of different bits over all frames, of the window that fits best."""
    return float(differences(windows, hashes[:, None]).mean(axis=0).min())


def _whole_hashes(samples: Samples) -> np.ndarray:
    return np.array([hashes_of(picture, WHOLE)[0] for picture in samples.pictures], np.uint64).reshape(-1, 2)


def _window_hashes(pictures: np.ndarray) -> np.ndarray:
    return np.array([hashes_of(picture, WINDOWS) for picture in pictures], np.uint64).reshape(-1, len(WINDOWS) ** 2, 2)


def _is_part(first: Sampled, second: Sampled) -> bool:
    """Whether one recording begins later or ends sooner than the other, and they show the same frames in between."""
    offset = _likely_offset(first, second)
    if offset is None:
        return False
    decoded, compared, sign = (first, second, 1) if first.sampler is not None else (second, first, -1)
    if decoded.sampler is None:
        return False
    wanted = -sign * offset
    times = compared.samples.seconds[compared.informative] + wanted
    inside = compared.informative[(times > OFFSET_STEP_SECONDS) & (times < decoded.seconds - OFFSET_STEP_SECONDS)]
    if len(inside) < FEWEST:
        return False
    chosen = inside[_spread(len(inside))]
    sampler, distances = decoded.sampler(), []
    for position in chosen:
        time = compared.samples.seconds[position] + wanted
        around = sampler.between(time - OFFSET_STEP_SECONDS, time + OFFSET_STEP_SECONDS)
        distances.append(differences(_whole_hashes(around), compared.hashes[position]).min(initial=1.0))
    return float(np.mean(distances)) <= MOST_DIFFERENT


def _likely_offset(first: Sampled, second: Sampled) -> float | None:
    """By how much later `second` shows what `first` shows, where that is likely, in seconds."""
    rows, columns = first.informative, second.informative
    if min(len(rows), len(columns)) < FEWEST:
        return None
    shares = differences(first.hashes[rows][:, None], second.hashes[columns][None]).ravel()
    offsets = (second.samples.seconds[columns][None] - first.samples.seconds[rows][:, None]).ravel()
    bins = np.rint(offsets / OFFSET_STEP_SECONDS).astype(int)
    lowest = bins.min()
    counts = np.bincount(bins - lowest)
    means = np.bincount(bins - lowest, shares) / np.maximum(counts, 1)
    possible = (lowest + np.arange(len(counts))) * OFFSET_STEP_SECONDS
    means[(counts < PAIRS_PER_OFFSET) | ~_is_long_enough(possible, first, second)] = 1
    best = int(means.argmin())
    return float(possible[best]) if means[best] <= POSSIBLY_THE_SAME else None


def _is_long_enough(offsets: np.ndarray, first: Sampled, second: Sampled) -> np.ndarray:
    """Whether what two recordings have in common at offsets in time (rounded) is long enough to tell a copy."""
    in_common = np.minimum(first.seconds, second.seconds - offsets) - np.maximum(0, -offsets)
    needed = min(SHORTEST_PART_SECONDS, SHORTEST_PART * min(first.seconds, second.seconds))
    return np.asarray(in_common + OFFSET_STEP_SECONDS / 2 >= needed)
