"""Decoding the wanted frames of a video, as players show them."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from trainers.data.ingest.containers import damaged, opened
from trainers.data.ingest.rows import TOLERATED_SECONDS
from trainers.data.ingest.shown import Orientation, Size, TimedFrame, ToImage, deinterlaced
from trainers.data.ingest.timeline import Timeline
from trainers.stage import InputError

SEEK_BACK_SECONDS = (0, 1, 5, 30)


def read_key_frames(path: Path, timeline: Timeline, count: int) -> list[np.ndarray]:
    """Up to `count` key frames spread evenly over the video, as RGB images of one size (H×W×3, uint8)."""
    candidates = timeline.key_timestamps or timeline.shown.tolist()
    chosen = np.linspace(0, len(candidates) - 1, count).round().astype(int)
    to_image = ToImage((timeline.width_px, timeline.height_px), timeline.orientation)
    with opened(path) as (container, stream):
        frames = (_frame_near(container, stream, candidates[i], timeline.time_base) for i in np.unique(chosen))
        images = [to_image(frame) for frame in frames if frame is not None]
    if not images:
        raise damaged(path, "no key frame can be decoded")
    return images


def _frame_near(
    container: InputContainer, stream: VideoStream, timestamp: int, time_base: Fraction
) -> VideoFrame | None:
    """A frame at a time, or shortly before it where the container has no index and seeking is not exact."""
    for seconds in SEEK_BACK_SECONDS:
        container.seek(timestamp - round(seconds / time_base), stream=stream)
        frame = next(decoded(container, stream), None)
        if frame is not None:
            return frame
    return None


@dataclass
class Seen:
    """What is seen while the frames of a video are decoded.

    Attributes:
        sizes: the first frame, and every other whose size differs from the one before: time stamp and size.
        num_substitutes: frames that could not be decoded, so that the one before stands for them.
    """

    sizes: list[tuple[int, Size]] = field(default_factory=list)
    num_substitutes: int = 0

    def frames(self, frames: Iterable[TimedFrame], orientation: Orientation) -> Iterator[TimedFrame]:
        """The frames, whose sizes are noted as they pass."""
        coded: Size | None = None
        for time, frame in frames:
            if (frame.width, frame.height) != coded:
                coded = frame.width, frame.height
                self.sizes.append((time, orientation.size(frame)))
            yield time, frame


def read_frames(
    path: Path, timeline: Timeline, wanted: Collection[int], *, threads: int, seen: Seen | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes the wanted frames in order, by their index at the video's rate.

    Frames that are neither wanted nor needed to decode others are skipped, which leaves the wanted ones as they are.

    Args:
        path: the video.
        timeline: the video's timeline.
        wanted: indices of frames; those the timeline lacks are not yielded.
        threads: how many threads may decode.
        seen: notes what is seen.

    Yields:
        The index of a frame and its RGB image (H×W×3, uint8) as it is shown.

    Raises:
        InputError: the video cannot be decoded.
    """
    due = {timeline.timestamps[index]: index for index in wanted if index in timeline.timestamps}
    for time, image in read_shown(path, timeline, due, threads=threads, seen=seen or Seen(), strict=True):
        yield due[time], image


def read_numbered(
    path: Path, timeline: Timeline, wanted: Sequence[int], *, threads: int, seen: Seen
) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes the wanted frames in order, by their numbers; the frame before stands for one that cannot be decoded.

    Arguments and errors as in `read_frames`.
    """
    due = {int(timeline.shown[number]): number for number in wanted}
    for time, image in read_shown(path, timeline, due, threads=threads, seen=seen, strict=False):
        yield due[time], image


def read_shown(
    path: Path, timeline: Timeline, due: Collection[int], *, threads: int, seen: Seen, strict: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes the frames with some time stamps, in order.

    Args:
        path: the video.
        timeline: the video's timeline.
        due: time stamps of the wanted frames.
        threads: how many threads may decode.
        seen: notes what is seen.
        strict: whether a frame that cannot be decoded is an error; where not, the one before stands for it.

    Yields:
        The time stamp of a frame and its RGB image (H×W×3, uint8) as it is shown.

    Raises:
        InputError: the video cannot be decoded.
    """
    waiting, to_image = deque(sorted(due)), ToImage((timeline.width_px, timeline.height_px), timeline.orientation)
    held: TimedFrame | None = None
    with opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for time, frame in _as_shown(container, stream, timeline, set(waiting), seen):
            while waiting and waiting[0] < time:
                yield waiting[0], to_image(_stand_in(path, timeline, waiting[0], None if strict else held, seen))
                waiting.popleft()
            if waiting and waiting[0] == time:
                yield waiting.popleft(), to_image(frame)
            held = time, frame
        while waiting:
            yield waiting[0], to_image(_stand_in(path, timeline, waiting[0], None if strict else held, seen))
            waiting.popleft()


def _stand_in(path: Path, timeline: Timeline, time: int, held: TimedFrame | None, seen: Seen) -> VideoFrame:
    """The frame before one that cannot be decoded, unless it is too old."""
    if held is None or float((time - held[0]) * timeline.time_base) > TOLERATED_SECONDS:
        number = int(np.searchsorted(timeline.shown, time))
        raise InputError(f"{path} is damaged: frame {number} cannot be decoded; copy it again from its source.")
    seen.num_substitutes += 1
    return held[1]


def _as_shown(
    container: InputContainer, stream: VideoStream, timeline: Timeline, due: Collection[int], seen: Seen
) -> Iterator[TimedFrame]:
    """The frames with their times, deinterlaced where any is interlaced; those that are not needed may be left out."""
    is_interlaced = any(look.is_interlaced for look in timeline.looks)
    needs_all = is_interlaced or timeline.by_order
    found = decoded(container, stream, needed=None if needs_all else due)
    if timeline.by_order:
        timed: Iterator[TimedFrame] = zip(timeline.shown.tolist(), found, strict=False)
    else:
        timed = ((frame.pts, frame) for frame in found if frame.pts is not None)
    frames = seen.frames(timed, timeline.orientation)
    return deinterlaced(frames) if is_interlaced else frames


def decoded(
    container: InputContainer, stream: VideoStream, needed: Collection[int] | None = None
) -> Iterator[VideoFrame]:
    """The frames of a video from its first key frame on; all of them where none is named as needed."""
    waits_for_key = True
    for packet in container.demux(stream):
        waits_for_key &= not packet.is_keyframe and packet.size > 0
        if waits_for_key:
            continue
        if needed is not None:
            skippable = packet.pts is not None and packet.pts not in needed
            stream.codec_context.skip_frame = "NONREF" if skippable else "DEFAULT"
        yield from packet.decode()
