"""Reading an mp4: when each of its frames is shown, a few key frames, and the wanted frames by their index."""

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from trainers.stage import InputError

NOMINAL_FPS = 25
"""Frame rate of the annotations of this field's datasets."""
TOLERATED_SECONDS = 1.0
"""Up to how much time lengths may differ, or frames be missing, before a recording is refused."""

FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
"""Types of the first box of an mp4 (or of its ancestor, a mov), after four bytes of length."""
BOX_HEADER_BYTES = 8
TO_THE_END = 0
LONG_BOX = 1
"""Lengths with a meaning of their own: the box takes the rest of the file; the length follows in eight bytes."""


@dataclass(frozen=True)
class Timeline:
    """The times at which the frames of a video are shown, read without decoding them.

    Attributes:
        fps: frames per second between neighbouring frames.
        width_px, height_px: size of a frame.
        timestamps: presentation timestamp of every frame by its 0-based index, counted at `fps` from the first one.
        key_timestamps: presentation timestamps of the key frames, in order.
        num_surplus: frames left out because an earlier one is shown at the same index.
        stream_digest: SHA-256 of the encoded frames, in hexadecimal, whatever file they are wrapped in.
    """

    fps: float
    width_px: int
    height_px: int
    timestamps: dict[int, int]
    key_timestamps: tuple[int, ...]
    num_surplus: int
    stream_digest: str

    @property
    def num_frames(self) -> int:
        """The length of the video, in frames at `fps`."""
        return max(self.timestamps) + 1

    @property
    def num_missing(self) -> int:
        """The number of frames that the video skips."""
        return self.num_frames - len(self.timestamps)


def read_timeline(path: Path) -> Timeline:
    """Reads the timestamps of a video's frames.

    Raises:
        InputError: the video cannot be read, is truncated, or its frames come at irregular times.
    """
    with _opened(path) as (container, stream):
        shown, keys, stream_digest = _demuxed(container, stream)
        if not len(shown):
            raise InputError(f"{path} holds no frames: copy it again from its source.")
        interval = _typical_interval(shown)
        indices, firsts = np.unique(np.rint((shown - shown[0]) / interval).astype(int), return_index=True)
        assert stream.time_base is not None, "every stream that was demuxed has a time base"
        timeline = Timeline(
            fps=1 / (interval * float(stream.time_base)) if len(shown) > 1 else NOMINAL_FPS,
            width_px=stream.width,
            height_px=stream.height,
            timestamps=dict(zip(indices.tolist(), shown[firsts].tolist(), strict=True)),
            key_timestamps=tuple(keys.tolist()),
            num_surplus=len(shown) - len(indices),
            stream_digest=stream_digest,
        )
    _refuse_irregular(path, timeline)
    return timeline


def _demuxed(container: InputContainer, stream: VideoStream) -> tuple[np.ndarray, np.ndarray, str]:
    """The presentation timestamps of all frames that are shown, those of the key frames, and the stream's digest."""
    found, content = [], hashlib.sha256()
    for packet in container.demux(stream):
        if packet.pts is not None and not packet.is_discard:
            found.append((packet.pts, packet.is_keyframe))
            content.update(packet)
    shown, is_key = np.array(found, np.int64).reshape(-1, 2).T
    return np.sort(shown), np.sort(shown[is_key.astype(bool)]), content.hexdigest()


def _typical_interval(shown: np.ndarray) -> float:
    """The time between neighbouring frames, whatever frames are missing and however coarse the time base is."""
    steps = np.diff(shown)
    if not steps.any():
        return 1.0
    median = np.median(steps[steps > 0])
    return float(steps[np.abs(steps - median) <= median / 2].mean())


def _refuse_irregular(path: Path, timeline: Timeline) -> None:
    irregular = timeline.num_missing + timeline.num_surplus
    if irregular > TOLERATED_SECONDS * timeline.fps:
        raise InputError(
            f"{path} shows its frames at irregular times ({timeline.num_missing} missing and {timeline.num_surplus} "
            f"too many at {timeline.fps:g} fps): encode it again at a constant {NOMINAL_FPS} fps."
        )


def read_key_frames(path: Path, timeline: Timeline, count: int) -> list[np.ndarray]:
    """Up to `count` key frames spread evenly over the video, as RGB images (H×W×3, uint8)."""
    chosen = np.linspace(0, len(timeline.key_timestamps) - 1, count).round().astype(int)
    images = []
    with _opened(path) as (container, stream):
        for timestamp in (timeline.key_timestamps[i] for i in np.unique(chosen)):
            container.seek(timestamp, stream=stream)
            frame = next(container.decode(stream), None)
            if frame is None:
                raise _damaged(path, "a key frame cannot be decoded")
            images.append(frame.to_ndarray(format="rgb24"))
    return images


def read_frames(
    path: Path, timeline: Timeline, wanted: Collection[int], *, threads: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes the wanted frames in order.

    Frames that are neither wanted nor needed to decode others are skipped, which leaves the wanted ones as they are.

    Args:
        path: the video.
        timeline: the video's timeline.
        wanted: indices of frames; those the timeline lacks are not yielded.
        threads: how many threads may decode.

    Yields:
        The index of a frame and its RGB image (H×W×3, uint8).

    Raises:
        InputError: the video cannot be decoded.
    """
    due = {timeline.timestamps[index]: index for index in wanted if index in timeline.timestamps}
    to_rgb = VideoReformatter()
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for packet in container.demux(stream):
            skippable = packet.pts is not None and packet.pts not in due
            stream.codec_context.skip_frame = "NONREF" if skippable else "DEFAULT"
            for frame in packet.decode():
                if frame.pts in due:
                    yield due.pop(frame.pts), to_rgb.reformat(frame, format="rgb24").to_ndarray()
    if due:
        raise InputError(
            f"{path} is damaged: frame {min(due.values())} cannot be decoded; copy it again from its source."
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    _refuse_other_files(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no video stream: copy it again from its source.")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise _damaged(path, str(error.strerror)) from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): let this user read it.") from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged ({reason}): copy it again from its source.")


def _refuse_other_files(path: Path) -> None:
    """Sentence for what FFmpeg calls invalid data: a file that is missing, empty, no mp4 or truncated."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file: put the video itself in its place.")
    if not path.exists():
        raise InputError(f"{path} does not exist: put the video back or name the folder it has moved to.")
    size = path.stat().st_size
    if not size:
        raise InputError(f"{path} is empty: copy it again from its source.")
    with path.open("rb") as file:
        if file.read(8)[4:] not in FIRST_BOXES:
            raise InputError(f"{path} is not an mp4: put the video itself in its place.")
        end = _end_of_boxes(file, size)
    if end > size:
        raise InputError(f"{path} is truncated, {size} of {end} bytes long: copy it again from its source.")


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """The end of an mp4 of `size` bytes by its boxes: each of the outermost begins with its length."""
    start = 0
    while start + BOX_HEADER_BYTES <= size:
        file.seek(start)
        header = file.read(2 * BOX_HEADER_BYTES)
        length = int.from_bytes(header[:4])
        if length == TO_THE_END:
            return size
        if length == LONG_BOX:
            length = int.from_bytes(header[BOX_HEADER_BYTES:])
        start += max(length, BOX_HEADER_BYTES)
    return start
