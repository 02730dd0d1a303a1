"""Timeline of a video: when each of its frames is shown, read without decoding more than its key frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from trainers.data.ingest.looks import Look
from trainers.data.ingest.shown import Orientation

NOMINAL_FPS = 25
"""Frame rate of the annotations of this field's datasets."""
USUAL_RATES = tuple(
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001), (60, 1))
)
FURTHER_RATES = (Fraction(15, 2), Fraction(25, 2))
FINE_TICKS, FINEST_TICKS = 8, 1000
"""Ticks of the time base in a frame's time, from which rounded time stamps are known as such: by one tick, by two."""
EXACT_SECONDS, EXACT_TICKS = 1e-6, 1e-6
LAST_PART = 0.1
"""Of a frame's time: where it varies, no row begins in this part of the last frame, whose end is a guess."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Timeline:
    """The times at which the frames of a video are shown.

    Attributes:
        shown: time stamps of all frames that are shown, in order (num_frames, int64).
        time_base: seconds per tick of the time stamps.
        key_timestamps: time stamps of the key frames, in order.
        stream_digest: SHA-256 of the encoded frames, in hexadecimal, whatever file they are wrapped in.
        width_px, height_px: size of the first frame, as it is shown.
        looks: what some of the frames look like, the first among them.
        by_order: whether the n-th frame that is decoded is shown at the n-th time, as the file says no more.
        num_hidden: frames that are in the file but not shown, as its edit list says.
        num_undecodable: frames at the beginning that need others from before it.
        pixel_aspect: width of a pixel over its height.
        num_trailing: bytes after the end of the container.
        num_streams: video streams of the file, pictures of a cover not counted; the first is this one.
    """

    shown: np.ndarray
    time_base: Fraction
    key_timestamps: tuple[int, ...]
    stream_digest: str
    width_px: int
    height_px: int
    looks: tuple[Look, ...] = ()
    by_order: bool = False
    num_hidden: int = 0
    num_undecodable: int = 0
    pixel_aspect: Fraction = Fraction(1)
    num_trailing: int = 0
    num_streams: int = 1

    @property
    def orientation(self) -> Orientation:
        """How its display matrix turns the video: that of the first frame."""
        return self.looks[0].orientation if self.looks else Orientation()

    @cached_property
    def interval(self) -> float:
        """The time between neighbouring frames in ticks, whatever frames are missing and however coarse ticks are."""
        steps = np.diff(self.shown)
        if not steps.any():
            return float(1 / (NOMINAL_FPS * self.time_base))
        median = np.median(steps[steps > 0])
        return float(steps[np.abs(steps - median) <= median / 2].mean())

    @property
    def fps(self) -> float:
        """Frames per second between neighbouring frames."""
        return 1 / (self.interval * float(self.time_base))

    @cached_property
    def timestamps(self) -> dict[int, int]:
        """The time stamp of every frame by its index, counted at `fps` from the first one."""
        indices, firsts = np.unique(
            np.rint((self.shown - self.shown[0]) / self.interval).astype(int), return_index=True
        )
        return dict(zip(indices.tolist(), self.shown[firsts].tolist(), strict=True))

    @property
    def num_frames(self) -> int:
        """The length of the video, in frames at `fps`."""
        return max(self.timestamps) + 1

    @property
    def num_missing(self) -> int:
        """The number of frames that the video skips."""
        return self.num_frames - len(self.timestamps)

    @property
    def num_surplus(self) -> int:
        """The number of frames left out by index because an earlier one is shown at the same."""
        return len(self.shown) - len(self.timestamps)

    @cached_property
    def times(self) -> np.ndarray:
        """Seconds from the first frame at which each frame is shown (num_frames, float64).

        Time stamps that are those of a constant rate, rounded to ticks, are that rate's: the same video in a container
        with coarser ticks then has the same times.
        """
        ticks = self.shown - self.shown[0]
        if self.is_constant:
            return np.asarray(np.rint(ticks / self.interval) / float(self.rate))
        return np.asarray(ticks * float(self.time_base))

    @cached_property
    def is_constant(self) -> bool:
        """Whether all time stamps are those of a constant rate, some of whose frames may be missing."""
        ticks = self.shown - self.shown[0]
        exact = np.rint(ticks / self.interval) / float(self.rate * self.time_base)
        return bool(np.abs(exact - ticks).max() <= self._rounded_ticks + EXACT_TICKS)

    @cached_property
    def rate(self) -> Fraction:
        """The usual rate that the time stamps are those of, or else a plain one, or else the rate that was measured."""
        whole, ntsc = round(self.fps), round(self.fps * 1.001)
        plain = [Fraction(whole), Fraction(ntsc * 1000, 1001)] if min(whole, ntsc) > 0 else []
        return self._near(USUAL_RATES) or self._near((*plain, *FURTHER_RATES)) or Fraction(self.fps)

    def _near(self, rates: Sequence[Fraction]) -> Fraction | None:
        """The nearest of some rates, where the time stamps may be those of it."""
        allowed = (max(self._rounded_ticks, 1) + 0.5) / max(self.shown[-1] - self.shown[0], 1)
        nearest = min(rates, key=lambda rate: abs(float(rate) / self.fps - 1))
        return nearest if abs(float(nearest) / self.fps - 1) <= allowed else None

    @property
    def _rounded_ticks(self) -> int:
        """By how many ticks the time stamps of a constant rate may differ from it."""
        return 2 if self.interval >= FINEST_TICKS else 1 if self.interval >= FINE_TICKS else 0

    @property
    def seconds(self) -> float:
        """The length of the video."""
        last = 1 / float(self.rate) if self.is_constant else self.interval * float(self.time_base)
        return float(self.times[-1]) + last

    def frame_at(self, seconds: np.ndarray) -> np.ndarray:
        """The number of the frame that a player shows at each of some times (int64)."""
        return np.asarray(np.searchsorted(self.times, seconds + EXACT_SECONDS, side="right") - 1)

    @property
    def end_seconds(self) -> float:
        """The time before which the last row begins."""
        return self.seconds if self.is_constant else self.seconds - LAST_PART * self.interval * float(self.time_base)


def time_of(packet: "Packet[VideoStream]") -> int | None:
    """The time stamp at which the frame of a packet is shown, or else that at which it is decoded, if it has any."""
    return packet.dts if packet.pts is None else packet.pts
