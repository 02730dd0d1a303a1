"""Tiny videos of any container whose every frame shows its number, at any times, and odd in many ways."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from tests.trainers.data.conftest import paint

Picture = Callable[[int], np.ndarray]
VOP, B_VOP = b"\x00\x00\x01\xb6", 2
"""Start of a frame in MPEG-4, and the type of a B-frame in the two bits after it."""
DIVX, NOT_CODED = b"\x00\x00\x01\xb2DivX503b1393p", VOP + b"\x50\x00\x40\x00"
"""User data that tells of packed frames, and the frame without content that stands for one."""
PIXEL_FORMATS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How a video is coded; pts are in units of 1/rate."""

    codec: str = "libx264"
    rate: Fraction = Fraction(25)
    pixel_aspect: Fraction | None = None
    pix_fmt: str = ""
    options: dict[str, str] = field(default_factory=dict)
    container: str | None = None
    container_options: dict[str, str] = field(default_factory=dict)

    def stream(self, container: av.container.OutputContainer, width: int, height: int) -> VideoStream:
        fast = {"preset": "ultrafast", "bf": "0"} if self.codec == "libx264" else {}
        stream = container.add_stream(
            self.codec, rate=self.rate, options={"g": "12", "threads": "1", **fast, **self.options}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = self.pix_fmt or PIXEL_FORMATS.get(self.codec, "yuv420p")
        stream.codec_context.time_base = 1 / self.rate
        if self.pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = self.pixel_aspect
        return stream


def write(path: Path, pts: int | Iterable[int], coding: Coding = Coding(), picture: Picture = paint) -> Path:
    """Writes a video whose n-th frame shows n and has the n-th of some time stamps."""
    times = range(pts) if isinstance(pts, int) else pts
    with av.open(str(path), "w", format=coding.container, options=coding.container_options) as container:
        height, width = picture(0).shape[:2]
        stream = coding.stream(container, width, height)
        for number, time in enumerate(times):
            container.mux(stream.encode(_frame(picture(number), time, coding)))
        container.mux(stream.encode())
    return path


def write_sizes(path: Path, sizes: Sequence[tuple[int, int]], each: int) -> Path:
    """Writes an MPEG transport stream whose resolution changes: `each` frames of every size (width, height)."""
    coding = Coding()
    with av.open(str(path), "w", format="mpegts") as container:
        stream = coding.stream(container, *sizes[0])
        for part, (width, height) in enumerate(sizes):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base, encoder.options = Fraction(1, 25), {"bf": "0", "threads": "1", "preset": "ultrafast"}
            pictures = [
                (number, np.kron(paint(number)[::32, ::32], np.ones((height // 3, width // 4, 1), np.uint8)))
                for number in range(part * each, (part + 1) * each)
            ]
            packets = [packet for number, image in pictures for packet in encoder.encode(_frame(image, number, coding))]
            for packet in [*packets, *encoder.encode()]:
                packet.stream = stream
                packet.time_base = Fraction(1, 25)
                container.mux(packet)
    return path


def write_streams(path: Path, sizes: Sequence[tuple[int, int]], num_frames: int) -> Path:
    """Writes a video with a stream of every size (width, height), all of which show the number of the frame."""
    with av.open(str(path), "w") as container:
        streams = [Coding().stream(container, *size) for size in sizes]
        for number in range(num_frames):
            for stream, (width, height) in zip(streams, sizes, strict=True):
                image = np.kron(paint(number)[::32, ::32], np.ones((height // 3, width // 4, 1), np.uint8))
                container.mux(stream.encode(_frame(image, number, Coding())))
        for stream in streams:
            container.mux(stream.encode())
    return path


def copy_packets(
    source: Path,
    target: Path,
    *,
    first: int = 0,
    offset: int = 0,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Copies packets from the `first` on into another container, shifted by `offset` ticks of 1/90000 s."""
    with av.open(str(source)) as old, av.open(str(target), "w", format=container, options=options or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        shift = round(offset / 90_000 / old.streams.video[0].time_base)
        for number, packet in enumerate(old.demux(video=0)):
            if packet.dts is not None and number >= first:
                packet.stream = stream
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                new.mux(packet)
    return target


def pack(source: Path, target: Path) -> Path:
    """Packs every B-frame of an MPEG-4 AVI into the packet of the frame before it, as DivX did."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        coded = [bytes(packet) for packet in old.demux(video=0) if packet.size]
        is_b = [frame[frame.rfind(VOP) + len(VOP)] >> 6 == B_VOP for frame in coded]
        coded[0] = coded[0].replace(VOP, DIVX + VOP)
        packed = [
            frame if not is_b[number] else NOT_CODED
            for number, frame in enumerate(
                frame + (coded[number + 1] if is_b[number + 1 : number + 2] == [True] else b"")
                for number, frame in enumerate(coded)
            )
        ]
        for number, content in enumerate(packed):
            packet = av.Packet(content)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = number == 0
            new.mux(packet)
    return target


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Gives an mp4 the display matrix a, b, c, d: a pixel at (x, y) is shown at (ax + cy, bx + dy)."""
    a, b, c, d = (value << 16 for value in matrix)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    content[start : start + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(content)
    return path


def _frame(image: np.ndarray, time: int, coding: Coding) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame.pts, frame.time_base = time, 1 / coding.rate
    return frame
