"""Pictures that are taken while the packets of a video pass by, so that it is not read for them again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.packet import Packet
from av.video.stream import VideoStream

from trainers.data.ingest.containers import opened
from trainers.data.ingest.pictures import ROUNDED_SECONDS, Apart, Taken, decoded_alone, grey
from trainers.data.ingest.samples import MOST_SAMPLES, SHORT_SECONDS, SHORT_STEP_SECONDS, STEP_SECONDS
from trainers.data.ingest.timeline import time_of

SHORTER = 0.99
"""Of the time between samples by the declared length of a video, what it may be by its frames."""


class PassingPictures:
    """Pictures of the frames that samples will be taken of, as far as the declared length of a video tells which.

    Attributes:
        taken: what has been taken.

    Args:
        stream: the stream of the video, opened for this alone: its decoder is used, and nothing is read.
        seconds: the declared length of the video; 0 where it is unknown.
    """

    def __init__(self, stream: VideoStream, seconds: float) -> None:
        self._stream, self._base = stream, float(stream.time_base or 1)
        self.taken = Taken(time_base=self._base)
        self._is_short = 0 < seconds <= SHORT_SECONDS
        if self._is_short:
            stream.thread_type = "AUTO"
        else:
            stream.codec_context.skip_frame = "NONKEY"
        self._apart, self._gives_up = Apart(SHORT_STEP_SECONDS), False
        step = max(STEP_SECONDS, seconds / MOST_SAMPLES)
        self._last = dict.fromkeys({step, max(STEP_SECONDS, SHORTER * step)}, float("-inf"))

    def see(self, packet: "Packet[VideoStream]") -> av.VideoFrame | None:
        """Takes the picture of a packet where it is needed; packets come in the order of the file, the last one empty.

        A damaged one ends it: who misses pictures reads the file for them, and says what is wrong.

        Returns:
            The frame of the packet, where it was decoded alone.
        """
        try:
            if self._is_short and not self._gives_up:
                self._see_frames(packet)
            elif not self._gives_up:
                return self._see_key(packet)
        except av.FFmpegError:
            self._gives_up = True
            self.taken.apart.clear()
        return None

    def _see_frames(self, packet: "Packet[VideoStream]") -> None:
        """Decodes every frame of a short video, and takes one in a while."""
        for frame in self._stream.decode(packet):
            if frame.pts is None:
                continue
            first = self.taken.apart[0][0] if self.taken.apart else frame.pts
            if self._apart.is_due((frame.pts - first) * self._base):
                self.taken.apart.append((frame.pts, grey(frame)))

    def _see_key(self, packet: "Packet[VideoStream]") -> av.VideoFrame | None:
        """Decodes a key frame that is far enough from the one before."""
        time = time_of(packet)
        if time is None or not packet.size or packet.is_discard or not packet.is_keyframe:
            return None
        frame = decoded_alone(self._stream, packet) if self._is_due(time * self._base) else None
        if frame is None or frame.pts is None:
            return None
        self.taken.keys[time] = frame.pts, grey(frame)
        return frame

    def _is_due(self, seconds: float) -> bool:
        due = [step for step, last in self._last.items() if seconds - last >= step - ROUNDED_SECONDS]
        self._last |= dict.fromkeys(due, seconds)
        return bool(due)


@contextmanager
def passing_pictures(path: Path) -> Iterator[PassingPictures]:
    """Pictures of a video, which is open for the time."""
    with opened(path) as (container, stream):
        yield PassingPictures(stream, (container.duration or 0) / av.time_base)
