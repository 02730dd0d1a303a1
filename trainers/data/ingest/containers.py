"""Opening a video file, whatever container it is: refusals of what is no video, or was cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from trainers.data.ingest.digested_file import DigestedFile
from trainers.data.ingest.file_ends import EBML, FIRST_BOXES, file_end
from trainers.stage import InputError

DEMUXERS = "mov,matroska,avi,mpeg,mpegts,asf,flv,mxf,ogg"
"""FFmpeg's names of the containers that are read: none that leads to other files, and none without times."""
OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
SIGNATURES = (
    EBML,
    b"RIFF",
    b"\0\0\1\xba",
    b"\0\0\1\xb3",
    b"G",
    b"\x30\x26\xb2\x75",
    b"FLV",
    b"\x06\x0e\x2b\x34",
    b"OggS",
)
"""First bytes of the other containers: a file that begins like this and cannot be opened is damaged."""
M2TS_PREFIX_BYTES = 4
HEAD_BYTES = 16
BUFFER_BYTES = 1 << 18
"""Of a file that is read through Python."""


@contextmanager
def opened(path: Path, file: DigestedFile | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video file and its video stream.

    Args:
        path: the file.
        file: what it is read through, where it is digested meanwhile.

    Raises:
        InputError: it is missing, empty, no video, or cut off; or reading it fails inside the `with` block.
    """
    try:
        refuse_other_files(path)
        with av.open(file or str(path), "r", options=OPTIONS, buffer_size=BUFFER_BYTES) as container:
            streams = video_streams(container)
            if not streams:
                raise InputError(f"{path} holds no video stream: copy it again from its source.")
            yield container, streams[0]
    except av.FFmpegError as error:
        raise damaged(path, str(error.strerror)) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): let this user read it.") from error


def damaged(path: Path, reason: str) -> InputError:
    """The sentence for a file whose content cannot be what was written."""
    return InputError(f"{path} is damaged ({reason}): copy it again from its source.")


def refuse_other_files(path: Path) -> None:
    """Sentences for what FFmpeg calls invalid data: a file that is missing, empty, no video or cut off.

    Raises:
        InputError: it is one of these.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file: put the video itself in its place.")
    if not path.exists():
        raise InputError(f"{path} does not exist: put the video back or name the folder it has moved to.")
    size = path.stat().st_size
    if not size:
        raise InputError(f"{path} is empty: copy it again from its source.")
    with path.open("rb") as file:
        if not _begins_like_a_video(file.read(HEAD_BYTES)):
            raise InputError(f"{path} is not a video (mp4, mov, mkv, avi, mpg, ts): put the video itself in its place.")
    end = file_end(path).declared
    if end > size:
        raise InputError(f"{path} is truncated, {size} of {end} bytes long: copy it again from its source.")


def _begins_like_a_video(head: bytes) -> bool:
    return head[4:8] in FIRST_BOXES or head.startswith(SIGNATURES) or head[M2TS_PREFIX_BYTES:].startswith(b"G")


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams that are no cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
