"""Small grey pictures of a recording: of key frames, of the frames nearest to some times, of all in a stretch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from trainers.data.ingest.video_file import Timeline
from trainers.stage import InputError

TimedImage = tuple[float, np.ndarray]
"""Seconds from the first frame on, and a grey image (H×W, uint8)."""

FULL_RANGE = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
"""Levels of grey of a video whose black is 16 and whose white is 235."""
WIDTH_PX = 240
"""Frames are reduced to about this width."""


class Pictures(Protocol):
    """Grey pictures of a recording."""

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        """Pictures that are cheap to get, not nearer to each other than a step, and at most as many."""

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        """The pictures nearest to some times (ascending), where there is one that near; the times are those asked."""

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        """All pictures from `start` up to, not including, `stop`."""


@dataclass(frozen=True)
class VideoPictures:
    """Pictures of a video file.

    Attributes:
        path: the file.
        key_timestamps: presentation timestamps of its key frames, in order; none where only times are asked.
        first: presentation timestamp of the first frame that is shown.
    """

    path: Path
    key_timestamps: tuple[int, ...]
    first: int

    @classmethod
    def of(cls, path: Path, timeline: Timeline) -> Self:
        """Pictures of a video whose timeline was read."""
        first = timeline.timestamps[0]
        return cls(path, tuple(each for each in timeline.key_timestamps if each >= first), first)

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        with self._opened() as (container, stream, base):
            stream.codec_context.skip_frame = "NONKEY"
            times = [(timestamp - self.first) * base for timestamp in self.key_timestamps]
            last = None
            for position in spread(times, step_seconds, most):
                container.seek(self.key_timestamps[position], stream=stream)
                frame = _next_key_frame(container, stream)
                if frame is not None and frame.pts not in (None, last):
                    last = frame.pts
                    assert last is not None, "it has just been looked at"
                    yield (last - self.first) * base, _grey(frame)

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        for wanted in seconds:
            found = self.between(wanted - within, wanted + within)
            best = min(found, key=lambda each: abs(each[0] - wanted), default=None)
            if best is not None:
                yield wanted, best[1]

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        with self._opened() as (container, stream, base):
            stream.thread_type = "AUTO"
            container.seek(self.first + round(max(0.0, start) / base), stream=stream)
            for frame in container.decode(stream):
                if frame.pts is None:
                    continue
                time = (frame.pts - self.first) * base
                if time >= stop:
                    break
                if time >= start:
                    yield time, _grey(frame)

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, VideoStream, float]]:
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                assert stream.time_base is not None, "every stream that was demuxed has a time base"
                yield container, stream, float(stream.time_base)
        except av.FFmpegError as error:
            raise InputError(f"{self.path} is damaged ({error.strerror}): copy it again from its source.") from error


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
        if time - times[kept[-1]] >= step - 1e-6:
            kept.append(position)
    return kept[:most]


def _next_key_frame(container: InputContainer, stream: VideoStream) -> av.VideoFrame | None:
    """The next key frame, without reading on until the decoder gives it away by itself."""
    for packet in container.demux(stream):
        if packet.is_keyframe and packet.size:
            for frame in (*packet.decode(), *stream.codec_context.decode(None)):
                return frame
            stream.codec_context.flush_buffers()
    return None


def _grey(frame: av.VideoFrame) -> np.ndarray:
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
