"""Scans: what one look at a video or a folder of frames has told, kept so that an unchanged one is not read again."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from trainers.data.datasets.copies import Sampled
from trainers.data.datasets.frame_folders import digest_frames, first_index, images_by_index, num_source_frames
from trainers.data.datasets.recordings import Recording
from trainers.data.ingest.digested_file import DigestedFile
from trainers.data.ingest.image_file import audit_images
from trainers.data.ingest.kept_timeline import keep_timeline
from trainers.data.ingest.looks import Oddity, oddities
from trainers.data.ingest.margins import Margins
from trainers.data.ingest.passing import passing_pictures
from trainers.data.ingest.pictures import ImagePictures, Pictures, VideoPictures
from trainers.data.ingest.remarks import remarks, time_remarks
from trainers.data.ingest.samples import Sampler, Samples, take
from trainers.data.ingest.stretches import Stretch, find_stretches
from trainers.data.ingest.timeline import NOMINAL_FPS, Timeline
from trainers.data.ingest.video_file import irregularity, irregularity_by_time, read_timeline
from trainers.records import checked
from trainers.runtime.files import replacing

IMAGES_AT_ONCE = 2
MOST_KEPT = 128
"""Samples that are kept of a recording, to find its copies by."""
FORMAT = 6
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
        stretches: long black or frozen ones.
        first: time stamp of a video's first frame, from which times are counted.
        margins: of pictures by their height and width: left, top, right, bottom.
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
    stretches: tuple[Stretch, ...] = ()
    first: int = 0
    margins: tuple[tuple[int, ...], ...] = ()

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.num_frames / self.fps


Scanned = tuple[Scan, Samples, Timeline | None]
"""What is found in one look at a recording; folders of frames have no timeline."""


class Scans:
    """Scans by the path of what was scanned, with samples beside them.

    Args:
        folder: where they are kept; it may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
        stamp = f"{image_fps:g} {_stamp(images.values())}"
        place = place_of(recording.video, recording.name, recording.images)
        return self._kept(place, stamp, lambda: _scan_images(recording, images, image_fps))

    def timeline_of(self, video: Path) -> Path:
        """Where the timeline of a video is kept, once it was scanned."""
        return self._file(video, "timeline.npz")

    def sampled(self, place: Path, digest: str, pictures: Callable[[Scan], Pictures] | None) -> Sampled | None:
        """The samples of a recording with a digest that was scanned earlier; None where there are none.

        Args:
            place: where it lies, as `place_of` says.
            digest: of its content.
            pictures: those of the recording, by its scan; None where it is away.
        """
        stored = self._stored(place)
        if stored is None or stored[1].digest != digest:
            return None
        scan = stored[1]
        try:
            with np.load(self._file(place, "npz")) as arrays:
                samples = Samples(seconds=arrays["seconds"], pictures=arrays["pictures"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        sampler = None if pictures is None else partial(_sampler, pictures, scan)
        return Sampled(digest=digest, seconds=scan.seconds, samples=samples, sampler=sampler)

    def _kept(self, path: Path, stamp: str, scan: Callable[[], Scanned]) -> Scan:
        stored = self._stored(path)
        if stored is not None and stored[0] == stamp and self._file(path, "npz").exists():
            return stored[1]
        made, samples, timeline = scan()
        if timeline is not None:
            keep_timeline(self.timeline_of(path), timeline, path)
        with replacing(self._file(path, "npz"), mark=f".{os.getpid()}") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, seconds=samples.seconds, pictures=samples.pictures)
        record = {"format": FORMAT, "path": str(path), "stamp": stamp, **asdict(made)}
        with replacing(self._file(path), mark=f".{os.getpid()}") as temporary:
            temporary.write_text(json.dumps(record))
        return made

    def _stored(self, path: Path) -> tuple[str, Scan] | None:
        """The stored scan, and the stamp of what it is of; None where there is none, or its file is damaged."""
        try:
            record = json.loads(self._file(path).read_text())
            if [record.pop(name) for name in ("format", "path")] != [FORMAT, str(path)]:
                return None
            stamp = record.pop("stamp")
            stretches = tuple(Stretch(**each) for each in record.pop("stretches"))
            margins = tuple(map(tuple, record.pop("margins")))
            tuples = {name: tuple(record[name]) for name in TUPLES}
            return stamp, checked(Scan(**{**record, **tuples}, stretches=stretches, margins=margins))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def _file(self, path: Path, ending: str = "json") -> Path:
        name = hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()
        return self.folder / f"{name}.{ending}"


def _sampler(pictures: Callable[[Scan], Pictures], scan: Scan) -> Sampler:
    margins: dict[tuple[int, ...], Margins] = {}
    for height, width, *widths in scan.margins:
        margins[height, width] = Margins(*widths)
    return Sampler(pictures(scan), margins)


def place_of(video: Path, name: str, images: str) -> Path:
    """The path that a recording is known by; several may lie as images in one folder."""
    return video / name if images else video


def _stamp(images: Iterable[Path]) -> str:
    """Sizes and times of modification of images: while they stay, the content has stayed."""
    content = hashlib.blake2b(digest_size=16)
    for image in images:
        content.update(f"{image.name}\0{_size_and_time(image.stat())}\0".encode())
    return content.hexdigest()


def _size_and_time(stat: os.stat_result) -> str:
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _scan_video(path: Path) -> Scanned:
    with DigestedFile(path) as file, passing_pictures(path) as passing:
        timeline = read_timeline(path, file, passing.see)
        digest = file.digest()
    scan = Scan(
        digest=digest,
        stream_digest=timeline.stream_digest,
        num_frames=timeline.num_frames,
        fps=float(timeline.fps),
        remarks=tuple(f"is odd: {remark}" for remark in remarks(timeline)),
        remarks_by_index=tuple(_remarks_by_index(timeline)),
        remarks_by_time=tuple(f"is odd: {remark}" for remark in time_remarks(timeline)),
        irregular=irregularity(path, timeline),
        irregular_by_time=irregularity_by_time(path, timeline),
        oddities=oddities(timeline.looks),
        first=timeline.timestamps[0],
    )
    return *_with_samples(scan, VideoPictures.of(path, timeline, passing.taken)), timeline


def _with_samples(scan: Scan, pictures: Pictures) -> tuple[Scan, Samples]:
    sampler, samples = take(pictures, scan.seconds)
    stretches = find_stretches(samples, sampler, scan.seconds)
    margins = tuple((*shape, *asdict(found).values()) for shape, found in sampler.margins.items())
    return replace(scan, stretches=stretches, margins=margins), samples.thinned(MOST_KEPT)


def _remarks_by_index(timeline: Timeline) -> Iterator[str]:
    if round(timeline.fps, 3) != NOMINAL_FPS:
        yield f"has {timeline.fps:.3f} frames per second instead of {NOMINAL_FPS}"
    if timeline.num_missing:
        yield f"lacks {timeline.num_missing} of its {timeline.num_frames} frames"
    if timeline.num_surplus:
        yield f"has {timeline.num_surplus} frames that are shown at another's time, which are left out"


def _scan_images(recording: Recording, images: Mapping[int, Path], image_fps: float) -> Scanned:
    remarks = audit_images(list(images.values()), threads=IMAGES_AT_ONCE).warnings
    scan = Scan(
        digest=digest_frames(recording.video, recording.images, recording.name),
        stream_digest=None,
        num_frames=num_source_frames(images, image_fps=image_fps),
        fps=image_fps,
        num_images=len(images),
        remarks=tuple(f"has oddities: {remark}" for remark in remarks),
    )
    return *_with_samples(scan, pictures_of_images(images, image_fps)), None


def pictures_of_images(images: Mapping[int, Path], image_fps: float) -> ImagePictures:
    """Pictures of a recording that was cut into images, by their index."""
    first = first_index(sorted(images), image_fps=image_fps)
    return ImagePictures(tuple(((index - first) / image_fps, path) for index, path in sorted(images.items())))
