"""Reading the timeline of a video file, and looking at its first frames and its key frames."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from trainers.data.ingest.containers import damaged, opened, video_streams
from trainers.data.ingest.decoding import decoded
from trainers.data.ingest.digested_file import DigestedFile
from trainers.data.ingest.file_ends import file_end
from trainers.data.ingest.looks import Look
from trainers.data.ingest.rows import TOLERATED_SECONDS
from trainers.data.ingest.shown import Orientation
from trainers.data.ingest.timeline import NOMINAL_FPS, Timeline, time_of
from trainers.stage import InputError

STREAMS = ("mpegts", "mpeg")
"""Containers of streams, which recorders begin to write between two key frames."""
LONGEST_SECONDS = 600.0
"""For which a frame may be shown: longer ones are faults of time stamps, not pauses."""
HEAD_FRAMES = 48
"""Frames at the beginning that are decoded to see how the video is coded."""
ALL_KEYS, KEY_SECONDS = 64, 30.0
"""So many key frames are looked at, and after them one in so many seconds."""
See = Callable[["Packet[VideoStream]"], VideoFrame | None]
"""What is done with every packet of a video in passing; it returns the frame of one that it has decoded alone."""


@dataclass(frozen=True, kw_only=True)
class _Packets:
    """Time stamps of the packets that are shown, in the order of the file, and what was seen on the way."""

    shown: np.ndarray
    is_key: np.ndarray
    num_hidden: int
    has_all_times: bool
    looks: tuple[Look, ...]
    digest: str


def read_timeline(path: Path, file: DigestedFile | None = None, see: See = lambda packet: None) -> Timeline:
    """Reads the time stamps of a video's frames, and looks at its key frames.

    Args:
        path: the video.
        file: what it is read through, where it is digested meanwhile.
        see: called with every packet that is read, in the order of the file.

    Raises:
        InputError: the video cannot be read, is cut off, or its time stamps go back.
    """
    head, is_ordered = _head(path)
    with opened(path, file) as (container, stream):
        packets = _demuxed(path, container, stream, head[0].orientation, see)
        if not len(packets.shown):
            raise InputError(f"{path} holds no frames: copy it again from its source.")
        time_base, pixel_aspect = Fraction(stream.time_base or 1), stream.sample_aspect_ratio
        is_stream, num_streams = container.format.name in STREAMS, len(video_streams(container))
        has_times = packets.has_all_times and is_ordered and not _lacks_times(container, stream)
    shown = np.sort(packets.shown[packets.shown >= _first_decodable(packets, head)])
    num_undecodable = len(packets.shown) - len(shown)
    if not is_stream and int(shown[0] - packets.shown.min()) * time_base > TOLERATED_SECONDS:
        raise damaged(path, f"its first {num_undecodable} frames cannot be decoded")
    return Timeline(
        shown=shown,
        time_base=time_base,
        key_timestamps=tuple(np.sort(packets.shown[packets.is_key]).tolist()),
        stream_digest=packets.digest,
        width_px=head[0].size[0],
        height_px=head[0].size[1],
        looks=tuple(sorted((*head, *packets.looks), key=lambda look: look.time)),
        by_order=not has_times,
        num_hidden=packets.num_hidden,
        num_undecodable=num_undecodable,
        pixel_aspect=Fraction(pixel_aspect or 1),
        num_trailing=file_end(path).num_trailing,
        num_streams=num_streams,
    )


def _lacks_times(container: InputContainer, stream: VideoStream) -> bool:
    """Whether time stamps are made up in the order of decoding, as in an AVI, where frames are shown in another."""
    return container.format.name == "avi" and bool(stream.codec_context.has_b_frames)


def _head(path: Path) -> tuple[tuple[Look, ...], bool]:
    """The looks of the first frames that can be decoded, and whether their time stamps rise."""
    looks: list[Look] = []
    with opened(path) as (container, stream):
        for frame in decoded(container, stream):
            orientation = looks[0].orientation if looks else Orientation.of(frame)
            looks.append(Look.of(-1 if frame.pts is None else frame.pts, frame, orientation))
            if len(looks) == HEAD_FRAMES:
                break
    if not looks:
        raise damaged(path, "none of its frames can be decoded")
    times = [look.time for look in looks]
    return tuple(looks), all(before < after for before, after in pairwise(times))


def _demuxed(
    path: Path, container: InputContainer, stream: VideoStream, orientation: Orientation, see: See
) -> _Packets:
    """Reads all packets of a video, and decodes some of its key frames alone."""
    times: list[int] = []
    decoding: list[float] = []
    keys: list[bool] = []
    looks: list[Look] = []
    content = hashlib.sha256()
    num_hidden, has_all_times, due = 0, True, 0.0
    stream.codec_context.skip_frame = "NONKEY"
    for packet in container.demux(stream):
        frame = see(packet)
        time = time_of(packet)
        if time is None or not packet.size:
            continue
        if packet.is_discard:
            num_hidden += 1
            continue
        has_all_times &= packet.pts is not None
        times.append(time)
        decoding.append(float("nan") if packet.dts is None else packet.dts)
        keys.append(packet.is_keyframe)
        content.update(packet)
        seconds = float(time * packet.time_base)
        if packet.is_keyframe and (len(looks) < ALL_KEYS or seconds >= due):
            looks += _looks_of([frame], orientation) if frame is not None else _looks(stream, packet, orientation)
            due = seconds + KEY_SECONDS
    looks += _looks(stream, None, orientation)
    _refuse_jumps(path, np.array(decoding) * float(stream.time_base or 0))
    return _Packets(
        shown=np.array(times, np.int64),
        is_key=np.array(keys, bool),
        num_hidden=num_hidden,
        has_all_times=has_all_times,
        looks=tuple(looks),
        digest=content.hexdigest(),
    )


def _looks(stream: VideoStream, packet: "Packet[VideoStream] | None", orientation: Orientation) -> list[Look]:
    """What a key frame looks like; nothing where it cannot be decoded alone."""
    try:
        return _looks_of(stream.decode(packet), orientation)
    except av.FFmpegError:
        return []


def _looks_of(frames: Iterable[VideoFrame], orientation: Orientation) -> list[Look]:
    return [Look.of(frame.pts, frame, orientation) for frame in frames if frame.pts is not None]


def _refuse_jumps(path: Path, decoding: np.ndarray) -> None:
    """Refuses time stamps that begin again; the first frames of some containers have none of decoding."""
    known = np.flatnonzero(~np.isnan(decoding))
    back = np.flatnonzero(np.diff(decoding[known]) < -TOLERATED_SECONDS)
    if len(back):
        last, first = known[back[0]], known[back[0] + 1]
        raise InputError(
            f"{path} goes back in time at frame {first}, from {decoding[last]:.2f} s to {decoding[first]:.2f} s, as "
            "recordings do that were put together without new time stamps: encode it again."
        )


def _first_decodable(packets: _Packets, head: Sequence[Look]) -> int:
    """The time stamp of the first frame that can be decoded, where those before it need others that were cut away."""
    first_decoded = min(look.time for look in head)
    first_keys = packets.shown[packets.is_key][:1]
    if len(first_keys) and first_decoded <= first_keys[0]:
        return first_decoded
    return int(packets.shown.min())


def irregularity(path: Path, timeline: Timeline) -> str:
    """The sentence on a video whose frames cannot be counted at a constant rate; empty where they can.

    They cannot where more than a second of frames are missing, or shown at another's time.
    """
    irregular = timeline.num_missing + timeline.num_surplus
    if irregular <= TOLERATED_SECONDS * timeline.fps:
        return ""
    return (
        f"{path} shows its frames at irregular times ({timeline.num_missing} missing and {timeline.num_surplus} "
        f"too many at {timeline.fps:g} fps): encode it again at a constant {NOMINAL_FPS} fps."
    )


def irregularity_by_time(path: Path, timeline: Timeline) -> str:
    """The sentence on a video whose time stamps cannot be right; empty where they can."""
    steps = np.diff(timeline.times)
    if not len(steps) or steps.max() <= LONGEST_SECONDS:
        return ""
    number = int(steps.argmax())
    return (
        f"{path} shows frame {number} at {timeline.times[number]:.2f} s and the next one {steps[number]:.2f} s later: "
        "cut the video there, or encode it again with right time stamps."
    )
