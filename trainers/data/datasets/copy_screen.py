"""Screen of recordings before they are compared for copies: one with many at once, by arrays of their hashes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from trainers.data.datasets.copies import (
    FEWEST,
    MOST_DIFFERENT,
    NUM_BITS,
    OFFSET_STEP_SECONDS,
    PAIRS_PER_OFFSET,
    POSSIBLY_THE_SAME,
    SAME_LENGTH_SECONDS,
    SAME_TIME_SECONDS,
    Sampled,
)

SAMPLES_AT_ONCE = 512
"""Of the other recordings: arrays of hashes by hashes then stay in the processor's cache."""
ONE_PAIR = 1 << 24
"""Added to the number of bits that differ, so that one sum holds both their sum and the number of pairs."""
MOST_BITS, ROUNDING = POSSIBLY_THE_SAME * NUM_BITS, 1e-6


def possible_copies(one: Sampled, others: Sequence[Sampled]) -> np.ndarray:
    """Whether each of some recordings can be a copy of one: where not, `is_copy` is false, and need not be asked.

    Returns:
        A boolean for each of the others.
    """
    found = np.array([other.digest == one.digest for other in others], bool)
    usable = [i for i, other in enumerate(others) if len(one.compared) and len(other.compared) and not found[i]]
    alike = [i for i in usable if abs(one.seconds - others[i].seconds) <= SAME_LENGTH_SECONDS and _tell(one, others[i])]
    found[alike] = [_may_be_same_from_start(one, others[i]) for i in alike]
    if len(one.informative) >= FEWEST:
        rest = [i for i in usable if not found[i] and len(others[i].informative) >= FEWEST]
        for batch in _batches(rest, [len(others[i].informative) for i in rest]):
            found[batch] = _have_likely_offset(one, [others[i] for i in batch])
    return found


def _batches(numbers: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Some numbers in batches whose sizes together are about those of a batch."""
    ends = np.cumsum(sizes) // SAMPLES_AT_ONCE
    starts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(numbers)]
    return (list(numbers[start:stop]) for start, stop in pairwise(starts) if stop > start)


def _tell(one: Sampled, other: Sampled) -> bool:
    """Whether either recording has enough frames to compare both from their start; very short ones have not."""
    return max(len(one.compared), len(other.compared)) >= FEWEST


def _may_be_same_from_start(one: Sampled, other: Sampled) -> bool:
    """Whether samples at the same times do not speak against a copy, one being a window of the other or neither."""
    return _may_show(one, other) or _may_show(other, one)


def _may_show(whole: Sampled, window: Sampled) -> bool:
    """Whether some window of a recording fits what another shows at the same times, or nothing is known of these.

    Where enough is known, it has to fit as well as it does in a copy, since no further frame is then decoded.
    """
    times = whole.compared_seconds
    distances = np.abs(window.samples.seconds[None] - times[:, None])
    is_near = distances.min(axis=1) <= SAME_TIME_SECONDS
    num_near = int(is_near.sum())
    hashes, words = window.hashes[distances.argmin(axis=1)], whole.window_words
    if num_near < len(times):
        hashes, words = hashes[is_near], words[:, is_near]
    different = np.bitwise_count(words[0] ^ hashes[:, :1])
    different += np.bitwise_count(words[1] ^ hashes[:, 1:])
    most = MOST_DIFFERENT * NUM_BITS if num_near >= FEWEST else MOST_BITS
    return bool(different.sum(axis=0, dtype=np.uint16).min() <= most * num_near + ROUNDING)


def _bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The number of bits in which hashes differ (…×2, uint64), as bytes."""
    left, right = np.ascontiguousarray(np.moveaxis(first, -1, 0)), np.ascontiguousarray(np.moveaxis(second, -1, 0))
    different: np.ndarray = np.bitwise_count(left[0] ^ right[0])
    different += np.bitwise_count(left[1] ^ right[1])
    return different


def _have_likely_offset(one: Sampled, others: Sequence[Sampled]) -> np.ndarray:
    """Whether each of the others shows at some offset in time what one shows, as `is_copy` finds it."""
    (own_hashes, own_times), found = _informative(one), [_informative(other) for other in others]
    different = _bits(own_hashes[:, None], np.concatenate([hashes for hashes, _ in found])[None])
    lengths = [len(times) for _, times in found]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    has_likely = np.minimum.reduceat(different.min(axis=0), starts) <= MOST_BITS
    if has_likely.any():
        times = [times for (_, times), is_likely in zip(found, has_likely, strict=True) if is_likely]
        different = different[:, np.repeat(has_likely, lengths)]
        has_likely[has_likely] = _are_alike_at_an_offset(different, own_times, times)
    return has_likely


def _are_alike_at_an_offset(different: np.ndarray, own_times: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Whether few enough bits differ, on average, at some offset between one recording and each of the others.

    Args:
        different: the number of bits in which samples differ, of one (rows) and of all others (columns).
        own_times: of the samples of one, in steps of offsets.
        others: the same of each of the others.
    """
    lowest = np.array([np.floor(times[0] - own_times[-1]) for times in others])
    widths = [int(times[-1] - own_times[0] - low) + 2 for times, low in zip(others, lowest, strict=True)]
    firsts = np.concatenate([[0], np.cumsum(widths)])
    offsets = np.concatenate(others)[None] - own_times[:, None]
    np.rint(offsets, out=offsets)
    offsets += np.repeat(firsts[:-1] - lowest, [len(times) for times in others])
    totals = np.bincount(offsets.ravel().astype(np.int64), (different + float(ONE_PAIR)).ravel(), firsts[-1])
    counts = np.floor(totals * (1 / ONE_PAIR))
    bits = totals - counts * ONE_PAIR
    is_alike = (counts >= PAIRS_PER_OFFSET) & (bits <= MOST_BITS * counts + ROUNDING)
    return np.asarray(np.logical_or.reduceat(is_alike, firsts[:-1]))


def _informative(recording: Sampled) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the informative samples, and their times in steps of offsets."""
    rows = recording.informative
    return recording.hashes[rows], recording.samples.seconds[rows] / OFFSET_STEP_SECONDS
