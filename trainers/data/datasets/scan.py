"""Scans: what one look at a video or a folder of frames has told, kept so that an unchanged one is not read again."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from trainers.data.datasets.frame_folders import digest_frames, images_by_index, num_source_frames
from trainers.data.datasets.recordings import Recording, digest
from trainers.data.ingest.image_file import audit_images
from trainers.data.ingest.looks import Oddity, oddities
from trainers.data.ingest.remarks import remarks, time_remarks
from trainers.data.ingest.video_file import NOMINAL_FPS, Timeline, irregularity, irregularity_by_time, read_timeline
from trainers.records import checked
from trainers.runtime.files import replacing

IMAGES_AT_ONCE = 2
FORMAT = 3
"""Raised when scans hold something new, so that those of earlier versions are not used."""
TUPLES = ("remarks", "remarks_by_index", "remarks_by_time", "oddities")
"""Fields that JSON makes lists of."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Properties of a video, or of a folder of frames, that do not depend on what is asked of it.

    Attributes:
        digest: of its content.
        stream_digest: of its encoded frames alone; None for folders of frames.
        num_frames: its length, in frames at its own rate.
        fps: that rate.
        num_images: of a folder of frames; None for videos.
        remarks: what is unusual about it, a sentence each.
        remarks_by_index: what is unusual where its frames are counted.
        remarks_by_time: what is unusual where they are taken by their time.
        irregular: the sentence that refuses to count its frames; empty where they can be counted.
        irregular_by_time: the sentence that refuses their times; empty where they can be right.
        oddities: what is odd about its pixels.
    """

    digest: str
    stream_digest: str | None
    num_frames: int
    fps: float
    num_images: int | None = None
    remarks: tuple[str, ...] = ()
    remarks_by_index: tuple[str, ...] = ()
    remarks_by_time: tuple[str, ...] = ()
    irregular: str = ""
    irregular_by_time: str = ""
    oddities: tuple[Oddity, ...] = ()


class Scans:
    """Scans by the path of what was scanned, one file each, in a folder that may not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, recording: Recording, *, image_fps: float | None) -> Scan:
        """The scan of a video or of its frames: the stored one where it has not changed since, or a new one.

        Args:
            recording: the recording.
            image_fps: the rate of its images; None where it is a video file.

        Raises:
            InputError: it cannot be read.
        """
        if image_fps is None:
            path = recording.video
            return self._kept(path, _size_and_time(path.stat()), lambda: _scan_video(path))
        images = images_by_index(recording.video, recording.images, recording.name)
        place = recording.video / recording.name if recording.images else recording.video
        stamp = f"{image_fps:g} {_stamp(images.values())}"
        return self._kept(place, stamp, lambda: _scan_images(recording, images, image_fps))

    def _kept(self, path: Path, stamp: str, scan: Callable[[], Scan]) -> Scan:
        stored = self._stored(path, stamp)
        if stored is not None:
            return stored
        made = scan()
        record = {"format": FORMAT, "path": str(path), "stamp": stamp, **asdict(made)}
        with replacing(self._file(path), mark=f".{os.getpid()}") as temporary:
            temporary.write_text(json.dumps(record))
        return made

    def _stored(self, path: Path, stamp: str) -> Scan | None:
        """The stored scan of what has this stamp; None where there is none, or its file is damaged."""
        try:
            record = json.loads(self._file(path).read_text())
            if [record.pop(name) for name in ("format", "path", "stamp")] != [FORMAT, str(path), stamp]:
                return None
            return checked(Scan(**{**record, **{name: tuple(record[name]) for name in TUPLES}}))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def _file(self, path: Path) -> Path:
        name = hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()
        return self._folder / f"{name}.json"


def _stamp(images: Iterable[Path]) -> str:
    """Sizes and times of modification of images: while they stay, the content has stayed."""
    content = hashlib.blake2b(digest_size=16)
    for image in images:
        content.update(f"{image.name}\0{_size_and_time(image.stat())}\0".encode())
    return content.hexdigest()


def _size_and_time(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _scan_video(path: Path) -> Scan:
    with ThreadPoolExecutor(1) as pool:  # side by side, so that a file that is not in memory is fetched once
        whole = pool.submit(digest, path)
        timeline = read_timeline(path)
    return Scan(
        digest=whole.result(),
        stream_digest=timeline.stream_digest,
        num_frames=timeline.num_frames,
        fps=float(timeline.fps),
        remarks=tuple(f"is odd: {remark}" for remark in remarks(timeline)),
        remarks_by_index=tuple(_remarks_by_index(timeline)),
        remarks_by_time=tuple(f"is odd: {remark}" for remark in time_remarks(timeline)),
        irregular=irregularity(path, timeline),
        irregular_by_time=irregularity_by_time(path, timeline),
        oddities=oddities(timeline.looks),
    )


def _remarks_by_index(timeline: Timeline) -> Iterator[str]:
    if round(timeline.fps, 3) != NOMINAL_FPS:
        yield f"has {timeline.fps:.3f} frames per second instead of {NOMINAL_FPS}"
    if timeline.num_missing:
        yield f"lacks {timeline.num_missing} of its {timeline.num_frames} frames"
    if timeline.num_surplus:
        yield f"has {timeline.num_surplus} frames that are shown at another's time, which are left out"


def _scan_images(recording: Recording, images: Mapping[int, Path], image_fps: float) -> Scan:
    remarks = audit_images(list(images.values()), threads=IMAGES_AT_ONCE).warnings
    return Scan(
        digest=digest_frames(recording.video, recording.images, recording.name),
        stream_digest=None,
        num_frames=num_source_frames(images, image_fps=image_fps),
        fps=image_fps,
        num_images=len(images),
        remarks=tuple(f"has oddities: {remark}" for remark in remarks),
    )
