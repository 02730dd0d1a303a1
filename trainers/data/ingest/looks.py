"""Looks of frames: size, orientation, interlacing; what is odd about a video as its key frames show it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self, get_args

from av.video.frame import VideoFrame

from trainers.data.ingest.shown import Orientation, Size

Oddity = Literal["turned", "interlaced", "resized"]
"""What changes the pixels of rows: a display matrix, interlaced frames, a resolution that changes inside the file."""
ODDITIES: tuple[Oddity, ...] = get_args(Oddity)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one frame looks like.

    Attributes:
        time: the time stamp at which it is shown.
        size: as it is shown.
        orientation: that its display matrix asks for.
        is_interlaced: whether it is flagged so.
        has_transparency: whether it has a plane of transparency.
    """

    time: int
    size: Size
    orientation: Orientation
    is_interlaced: bool
    has_transparency: bool

    @classmethod
    def of(cls, time: int, frame: VideoFrame, orientation: Orientation) -> Self:
        """The look of a decoded frame of a video of this orientation."""
        return cls(
            time=time,
            size=orientation.size(frame),
            orientation=orientation,
            is_interlaced=frame.interlaced_frame,
            has_transparency=any(component.is_alpha for component in frame.format.components),
        )


def oddities(looks: Iterable[Look]) -> tuple[Oddity, ...]:
    """What is odd about a video, in the order of `ODDITIES`."""
    looks = tuple(looks)
    found = {
        "turned": any(look.orientation != Orientation() for look in looks),
        "interlaced": any(look.is_interlaced for look in looks),
        "resized": len({look.size for look in looks}) > 1,
    }
    return tuple(oddity for oddity in ODDITIES if found[oddity])


def changes(looks: Sequence[Look]) -> list[tuple[Look, Look]]:
    """Neighbours that differ in size."""
    ordered = sorted(looks, key=lambda look: look.time)
    return [(before, after) for before, after in pairwise(ordered) if before.size != after.size]
