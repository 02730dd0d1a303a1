"""Remarks on a video: one sentence for each thing that is odd about it, for its audit."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from trainers.data.ingest.decoding import Seen
from trainers.data.ingest.looks import changes, oddities
from trainers.data.ingest.shown import Size
from trainers.data.ingest.timeline import Timeline

LONG_SECONDS = 1.0
"""Without a new frame: longer than any frame is shown on purpose."""
VARYING = 0.5
"""Of the usual time of a frame, by which others differ in a video whose rate varies."""


def remarks(timeline: Timeline, seen: Seen | None = None) -> tuple[str, ...]:
    """Sentences on what is odd about a video and what is done about it.

    Args:
        timeline: the video's timeline.
        seen: what was seen when the video was decoded; without it, key frames tell where the resolution changes.
    """
    sizes = (
        seen.sizes
        if seen
        else [(before.time, before.size) for before in timeline.looks[:1]]
        + [(after.time, after.size) for _, after in changes(timeline.looks)]
    )
    return (*_pixel_remarks(timeline), *_size_remarks(timeline, sizes), *_file_remarks(timeline, seen))


def time_remarks(timeline: Timeline) -> tuple[str, ...]:
    """Sentences on frames that come at varying times, or not at all for a while."""
    steps = np.diff(timeline.times)
    if not len(steps):
        return ()
    usual = 1 / timeline.fps
    long = np.flatnonzero(steps > max(LONG_SECONDS, (1 + VARYING) * usual))
    varying = int(np.count_nonzero(np.abs(steps - usual) > VARYING * usual))
    said = []
    if varying:
        said.append(f"frames come at varying times, {steps.min() * 1000:.0f} to {steps.max() * 1000:.0f} ms apart")
    if len(long):
        start = timeline.times[long[0]]
        said.append(f"{len(long)} stretches without a new frame, the first of {steps[long[0]]:.1f} s at {start:.1f} s")
    return tuple(said)


def _pixel_remarks(timeline: Timeline) -> Iterator[str]:
    odd = oddities(timeline.looks)
    if "turned" in odd:
        yield f"turned {timeline.orientation}, as its display matrix says"
    if "interlaced" in odd:
        yield "interlaced, so its frames are deinterlaced"
    if any(look.has_transparency for look in timeline.looks):
        yield "transparency is left out"
    if timeline.pixel_aspect != 1:
        yield f"pixels are not square ({timeline.pixel_aspect.numerator}:{timeline.pixel_aspect.denominator})"


def _size_remarks(timeline: Timeline, sizes: Sequence[tuple[int, Size]]) -> Iterator[str]:
    first = f"{timeline.width_px}×{timeline.height_px} px"
    for (_, before), (time, after) in pairwise(sizes):
        number = int(np.searchsorted(timeline.shown, time))
        yield (
            f"the resolution changes from {before[0]}×{before[1]} to {after[0]}×{after[1]} px at frame {number} "
            f"({timeline.times[number]:.2f} s): all frames are scaled to {first}"
        )


def _file_remarks(timeline: Timeline, seen: Seen | None) -> Iterator[str]:
    if timeline.num_hidden:
        yield f"{timeline.num_hidden} frames in the file are not shown, as its edit list says"
    if timeline.num_undecodable:
        yield f"{timeline.num_undecodable} frames before the first that can be decoded are left out"
    if timeline.num_streams > 1:
        yield f"{timeline.num_streams} video streams, of which the first is read"
    if timeline.num_trailing:
        yield f"{timeline.num_trailing} bytes after the end of the video are left out"
    if seen and seen.num_substitutes:
        yield f"{seen.num_substitutes} rows show the frame before, as their own cannot be decoded"
