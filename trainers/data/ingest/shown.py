"""Frames as players show them: turned as the display matrix says, deinterlaced, and of one size."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

Size = tuple[int, int]
"""Width and height in pixels."""
TimedFrame = tuple[int, VideoFrame]
"""A frame with the time stamp at which it is shown."""
ORDINALS = Fraction(1, 25)
"""Time base of the numbers that frames carry through a filter; any would do."""
OBLIQUE = 0.02
"""Part of a display matrix, of its largest entry, above which it is no quarter turn."""


@dataclass(frozen=True)
class Orientation:
    """Quarter turns and mirror images: columns and rows exchanged first, then each of them reversed."""

    is_transposed: bool = False
    reverses_columns: bool = False
    reverses_rows: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Self:
        """The orientation that a frame's display matrix asks for; upright where it has none, or no quarter turn.

        One frame of a video is enough: whose side data were read is freed late, as it and they refer to each other.
        """
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if not isinstance(matrix, Buffer):
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
        largest = max(map(abs, (a, b, c, d)))
        if max(abs(b), abs(c)) <= OBLIQUE * largest:
            return cls(False, a < 0, d < 0)
        if max(abs(a), abs(d)) <= OBLIQUE * largest:
            return cls(True, c < 0, b < 0)
        return cls()

    def apply(self, image: np.ndarray) -> np.ndarray:
        """An image (H×W×3) as it is shown."""
        turned = image.swapaxes(0, 1) if self.is_transposed else image
        return turned[:: -1 if self.reverses_rows else 1, :: -1 if self.reverses_columns else 1]

    def size(self, frame: VideoFrame) -> Size:
        """The size of a frame as it is shown."""
        return (frame.height, frame.width) if self.is_transposed else (frame.width, frame.height)

    def __str__(self) -> str:
        if not self.is_transposed:
            return {(True, True): "by 180°", (True, False): "left to right", (False, True): "upside down"}.get(
                (self.reverses_columns, self.reverses_rows), "not at all"
            )
        turns = {(True, False): "by 90° clockwise", (False, True): "by 90° counterclockwise"}
        mirrored = (
            "by 90° clockwise, left to right" if not self.reverses_columns else "by 90° counterclockwise, left to right"
        )
        return turns.get((self.reverses_columns, self.reverses_rows), mirrored)


class ToImage:
    """Converter of decoded frames to RGB images of one size, as they are shown.

    Args:
        size: of the images; frames of another size are scaled to it.
        orientation: of the video.
    """

    def __init__(self, size: Size, orientation: Orientation) -> None:
        self._size = size
        self._orientation = orientation
        self._to_rgb = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """The frame as an RGB image (H×W×3, uint8)."""
        image = self._orientation.apply(self._to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray())
        width, height = self._size
        if image.shape[:2] == (height, width):
            return image
        reduces = image.shape[0] > height
        return cv2.resize(image, self._size, interpolation=cv2.INTER_AREA if reduces else cv2.INTER_LINEAR)


def deinterlaced(frames: Iterable[TimedFrame]) -> Iterator[TimedFrame]:
    """The frames, each that is flagged as interlaced deinterlaced by libav's yadif; one comes out for each."""
    graph, kind = None, None
    times: deque[int] = deque()
    for ordinal, (time, frame) in enumerate(frames):
        found = (frame.width, frame.height, frame.format.name)
        if found != kind:
            yield from _flushed(graph, times)
            graph, kind = _yadif(frame), found
        assert graph is not None, "the first frame has made one"
        frame.pts, frame.time_base = ordinal, ORDINALS
        times.append(time)
        graph.vpush(frame)
        yield from _pulled(graph, times)
    yield from _flushed(graph, times)


def _yadif(frame: VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=ORDINALS)
    graph.link_nodes(source, graph.add("yadif", "deint=interlaced"), graph.add("buffersink")).configure()
    return graph


def _pulled(graph: av.filter.Graph, times: deque[int]) -> Iterator[TimedFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield times.popleft(), frame


def _flushed(graph: av.filter.Graph | None, times: deque[int]) -> Iterator[TimedFrame]:
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, times)
