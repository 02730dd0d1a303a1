"""Small grey pictures of a recording: of key frames, of the frames nearest to some times, of all in a stretch."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from trainers.data.ingest.containers import opened
from trainers.data.ingest.decoding import SEEK_BACK_SECONDS
from trainers.data.ingest.timeline import Timeline, time_of

TimedImage = tuple[float, np.ndarray]
"""Seconds from the first frame on, and a grey image (H×W, uint8)."""
TimedFrame = tuple[float, av.VideoFrame]
"""Seconds from the first frame on, and a decoded frame."""

FULL_RANGE = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
"""Levels of grey of a video whose black is 16 and whose white is 235."""
WIDTH_PX = 240
"""Frames are reduced to about this width."""
ROUNDED_SECONDS, EARLY_SECONDS = 1e-6, 1e-3
"""By which pictures may be nearer to each other than is asked: key frames, and any frames."""


class Pictures(Protocol):
    """Grey pictures of a recording."""

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        """Pictures that are cheap to get, not nearer to each other than a step, and at most as many."""

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        """The pictures nearest to some times (ascending), where there is one that near; the times are those asked."""

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        """All pictures from `start` up to, not including, `stop`."""

    def apart(self, step_seconds: float) -> Iterator[TimedImage]:
        """Pictures of all frames, but one per step."""


class Apart:
    """Choice of one frame per step.

    Args:
        step_seconds: the step.
    """

    def __init__(self, step_seconds: float) -> None:
        self._step, self._due = step_seconds, 0.0

    def is_due(self, seconds: float) -> bool:
        """Whether the next frame is chosen, by its time."""
        if seconds < self._due - EARLY_SECONDS:
            return False
        self._due += self._step
        return True


@dataclass(frozen=True)
class Taken:
    """Pictures that were taken while the packets of a video passed by, with the time stamps of their frames.

    Attributes:
        time_base: seconds per tick of the time stamps.
        keys: of key frames, by the time stamps of their packets.
        apart: one per second of a short video, the first frame's first.
    """

    time_base: float = 1.0
    keys: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict)
    apart: list[tuple[int, np.ndarray]] = field(default_factory=list)


@dataclass(frozen=True)
class VideoPictures:
    """Pictures of a video file.

    Attributes:
        path: the file.
        key_timestamps: presentation timestamps of its key frames, in order; none where only times are asked.
        first: presentation timestamp of the first frame that is shown.
        taken: pictures for which it is not read again.
    """

    path: Path
    key_timestamps: tuple[int, ...]
    first: int
    taken: Taken = field(default_factory=Taken)

    @classmethod
    def of(cls, path: Path, timeline: Timeline, taken: Taken | None = None) -> Self:
        """Pictures of a video whose timeline was read."""
        first = timeline.timestamps[0]
        return cls(path, tuple(each for each in timeline.key_timestamps if each >= first), first, taken or Taken())

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        with opened(self.path) as (container, stream):
            stream.codec_context.skip_frame = "NONKEY"
            base, last = float(stream.time_base or 1), None
            times = [(timestamp - self.first) * base for timestamp in self.key_timestamps]
            for position in spread(times, step_seconds, most):
                timestamp = self.key_timestamps[position]
                found = self.taken.keys.get(timestamp) or _key_picture(container, stream, timestamp)
                if found is not None and found[0] != last:
                    last, image = found
                    yield (last - self.first) * base, image

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        for wanted in seconds:
            found = self.between(wanted - within, wanted + within)
            best = min(found, key=lambda each: abs(each[0] - wanted), default=None)
            if best is not None:
                yield wanted, best[1]

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        with opened(self.path) as (container, stream):
            stream.thread_type = "AUTO"
            for time, frame in self._from(max(0.0, start), container, stream):
                if time >= stop:
                    break
                if time >= start:
                    yield time, grey(frame)

    def _from(self, start: float, container: InputContainer, stream: VideoStream) -> Iterator[TimedFrame]:
        """Frames with their times, from one on that is shown at a time or before, where seeking is not exact either."""
        base = float(stream.time_base or 1)
        for back in SEEK_BACK_SECONDS:
            container.seek(self.first + round((start - back) / base), stream=stream)
            frames = self._timed(container.decode(stream), base)
            head = list(itertools.islice(frames, 1))
            if head and head[0][0] <= start:
                break
        return itertools.chain(head, frames)

    def _timed(self, frames: Iterable[av.VideoFrame], base: float) -> Iterator[TimedFrame]:
        return (((frame.pts - self.first) * base, frame) for frame in frames if frame.pts is not None)

    def apart(self, step_seconds: float) -> Iterator[TimedImage]:
        if self.taken.apart and self.taken.apart[0][0] == self.first:
            return iter([((time - self.first) * self.taken.time_base, image) for time, image in self.taken.apart])
        return _chosen(self.between(0, math.inf), step_seconds)


@dataclass(frozen=True)
class ImagePictures:
    """Pictures of a recording that was cut into images.

    Attributes:
        images: every image by its time in seconds, in order.
    """

    images: tuple[tuple[float, Path], ...]

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        for position in spread([time for time, _ in self.images], step_seconds, most):
            yield from self._read(self.images[position])

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        times = np.array([time for time, _ in self.images])
        for wanted in seconds:
            position = int(np.abs(times - wanted).argmin())
            if abs(times[position] - wanted) <= within:
                for _, image in self._read(self.images[position]):
                    yield wanted, image

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        for each in self.images:
            if start <= each[0] < stop:
                yield from self._read(each)

    def apart(self, step_seconds: float) -> Iterator[TimedImage]:
        return _chosen(self.between(0, math.inf), step_seconds)

    def _read(self, entry: tuple[float, Path]) -> Iterator[TimedImage]:
        image = cv2.imdecode(np.frombuffer(entry[1].read_bytes() or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
        if image is not None:
            yield entry[0], _reduced(image)


def spread(times: Sequence[float], step_seconds: float, most: int) -> list[int]:
    """Positions of some of the times (ascending), none nearer to the one before than a step, and at most so many."""
    if not times:
        return []
    step = max(step_seconds, (times[-1] - times[0]) / most)
    kept = [0]
    for position, time in enumerate(times):
        if time - times[kept[-1]] >= step - ROUNDED_SECONDS:
            kept.append(position)
    return kept[:most]


def _chosen(images: Iterable[TimedImage], step_seconds: float) -> Iterator[TimedImage]:
    apart = Apart(step_seconds)
    return (image for image in images if apart.is_due(image[0]))


def _key_picture(container: InputContainer, stream: VideoStream, timestamp: int) -> tuple[int, np.ndarray] | None:
    """Time stamp and picture of the key frame at a time, or of the next one that can be decoded."""
    for packet in _keys_from(container, stream, timestamp):
        frame = decoded_alone(stream, packet)
        if frame is not None:
            return None if frame.pts is None else (frame.pts, grey(frame))
    return None


def _keys_from(container: InputContainer, stream: VideoStream, timestamp: int) -> Iterator["Packet[VideoStream]"]:
    """Packets of key frames from one at a time on, also where seeking is not exact and leads past it."""
    for back in SEEK_BACK_SECONDS:
        container.seek(timestamp - round(back / (stream.time_base or 1)), stream=stream)
        keys = (packet for packet in container.demux(stream) if packet.is_keyframe and packet.size)
        later = itertools.dropwhile(lambda packet: (time_of(packet) or timestamp) < timestamp, keys)
        head = list(itertools.islice(later, 1))
        if head and time_of(head[0]) == timestamp:
            break
    return itertools.chain(head, later)


def decoded_alone(stream: VideoStream, packet: "Packet[VideoStream]") -> av.VideoFrame | None:
    """The frame of a packet, without reading on until the decoder gives it away by itself."""
    found = next(iter((*stream.decode(packet), *stream.codec_context.decode(None))), None)
    stream.codec_context.flush_buffers()
    return found


def grey(frame: av.VideoFrame) -> np.ndarray:
    """A frame as it is shown, in levels of grey from 0 to 255."""
    if _begins_with_luma(frame):
        plane = frame.planes[0]
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(frame.height, -1)
        image = _reduced(rows[:, : frame.width])
        image = image if frame.color_range == ColorRange.JPEG else cv2.LUT(image, FULL_RANGE)
    else:
        image = _reduced(frame.to_ndarray(format="gray"))
    return np.rot90(image, frame.rotation // 90)


def _begins_with_luma(frame: av.VideoFrame) -> bool:
    """Whether the first plane of a frame is its brightness, a byte for each pixel."""
    layout = frame.format
    return layout.is_planar and not layout.is_rgb and layout.components[0].bits == 8


def _reduced(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    if width <= WIDTH_PX:
        return image
    return cv2.resize(image, (WIDTH_PX, max(1, round(height * WIDTH_PX / width))), interpolation=cv2.INTER_AREA)
