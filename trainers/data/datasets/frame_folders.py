"""Frames that were already cut out of their videos: images named by their index, in a folder per video or in one."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from trainers.data.datasets.patterns import regex_of
from trainers.data.datasets.recordings import visible_entries
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.image_file import SUFFIXES, audit_images
from trainers.data.ingest.source import Source
from trainers.data.ingest.timed_rows import row_times
from trainers.data.ingest.timeline import EXACT_SECONDS, NOMINAL_FPS
from trainers.data.ingest.video import UNKNOWN_SECONDS, Ingest
from trainers.fields import Rate, added
from trainers.stage import InputError

SECONDS_PER_IMAGE = 0.01


def digest_frames(folder: Path, images: str = "", name: str = "") -> str:
    """The content digest of the frames of a video: over the images' names and bytes, sorted by index.

    Arguments and errors are those of `images_by_index`.
    """
    content = hashlib.blake2b(digest_size=16)
    for path in images_by_index(folder, images, name).values():
        if not path.is_file():
            raise InputError(f"{path} is no file: put the image itself in its place, or move it away.")
        data = path.read_bytes()
        content.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return content.hexdigest()


def images_by_index(folder: Path, images: str = "", name: str = "") -> dict[int, Path]:
    """The images of a video by the index that names them, in order.

    Args:
        folder: of the images.
        images: the pattern of their names, where other images lie beside them; any image where empty.
        name: of the video.

    Raises:
        InputError: the folder is missing or has no images, or an image is no file or not named by an index of its own.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: put the frames back or name the folder they have moved to.")
    expression = regex_of(images or "{frame}.*", name, tuple(SUFFIXES))
    found: dict[int, Path] = {}
    for path in visible_entries(folder):
        if path.suffix.lower() not in SUFFIXES:
            continue
        match = expression.fullmatch(path.name)
        if match is None and not images:
            raise InputError(f"{path} is not named by its index, like 000025.jpg: rename it or move it away.")
        if match is None:
            continue
        if int(match["frame"]) in found:
            raise InputError(f"{path} has the index of {found[int(match['frame'])].name}: move one of them away.")
        if not path.is_file():
            raise InputError(f"{path} is no file that can be read: put the image back or move the entry away.")
        found[int(match["frame"])] = path
    if not found:
        raise InputError(f"{folder} holds no images ({', '.join(SUFFIXES)}): put them into it, or move it away.")
    return dict(sorted(found.items()))


def num_source_frames(indices: Iterable[int], *, image_fps: float = NOMINAL_FPS) -> int:
    """The length of the video that frames were cut from, as far as the last one tells, in frames at their rate."""
    indices = sorted(indices)
    return indices[-1] + 1 - first_index(indices, image_fps=image_fps)


def first_index(indices: Sequence[int], *, image_fps: float) -> int:
    """The index of the frame that a video begins with: 1 where no image has index 0, as FFmpeg counts, or else 0.

    Images that are named by their index at 25 fps are counted from 0.
    """
    return 1 if indices[0] == 1 and image_fps != NOMINAL_FPS else 0


@dataclass(frozen=True, kw_only=True)
class FrameFolder(Ingest):
    """The frame store of one folder of frames; `video_path` is the folder, `video_digest` its `digest_frames`."""

    source_fps: Rate = added(25.0)
    """The rate at which the indices of the images count: that of index i is shown from i / source_fps seconds on."""
    images: str = added("")
    """The pattern of the images' names; empty where any image in the folder is named by its index alone."""

    def examine(self) -> tuple[str, ...]:
        images = images_by_index(self.video_path, self.images, self.name)
        slack = _slack(list(images))
        if self.timing == "seconds":
            warnings = self.beside_track(slack / self.source_fps)
            end = self.num_source_frames / NOMINAL_FPS
            times = row_times(end, self.fps, self.track(self.source_fps), self.annotation_format or AnnotationFormat())
            first = first_index(list(images), image_fps=self.source_fps)
            for _ in _due(self.video_path, images, self.fps, self._shown_at(times, first).tolist()):
                pass
            return warnings
        length, warnings = self.beside_annotation(slack)
        for _ in _due(self.video_path, images, self.fps, range(0, length, self.step)):
            pass
        return warnings

    def open(self, threads: int) -> Source:
        images = images_by_index(self.video_path, self.images, self.name)
        indices = list(images)
        audit = audit_images(list(images.values()), threads=threads)
        read = partial(_read_image, size=(audit.height_px, audit.width_px))
        by_time = self.timing == "seconds"
        first = first_index(indices, image_fps=self.source_fps) if by_time else 0
        num_frames = indices[-1] + 1 - first
        return Source(
            fps=self.source_fps if by_time else NOMINAL_FPS,
            width_px=audit.width_px,
            height_px=audit.height_px,
            num_frames=num_frames,
            samples=lambda count: [read(images[indices[i]]) for i in _spread(len(indices), count)],
            end_seconds=num_frames / self.source_fps,
            images=partial(_read_rows, self.video_path, images, read, self.fps),
            frame_at=partial(self._shown_at, first=first),
            shown=partial(_read_rows, self.video_path, images, read, self.fps),
            warnings=audit.warnings,
            slack=_slack(indices),
        )

    def _shown_at(self, seconds: np.ndarray, first: int) -> np.ndarray:
        """The indices of the images that are shown at some times, where that of the first is known."""
        return first + np.floor((seconds + EXACT_SECONDS) * self.source_fps).astype(np.int64)

    def expected_seconds(self) -> float:
        try:
            return SECONDS_PER_IMAGE * len(visible_entries(self.video_path))
        except OSError:
            return UNKNOWN_SECONDS


def _spread(length: int, count: int) -> list[int]:
    """Up to `count` positions, spread evenly over a sequence."""
    return sorted({round(position) for position in np.linspace(0, length - 1, count).tolist()})


def _slack(indices: list[int]) -> int:
    """The number of further frames that a recording may have had of which every n-th was kept."""
    return int(np.median(np.diff(indices))) - 1 if len(indices) > 1 else 0


def _read_rows(
    folder: Path, images: dict[int, Path], read: Callable[[Path], np.ndarray], fps: float, wanted: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    for index in _due(folder, images, fps, wanted):
        yield index, read(images[index])


def _due(folder: Path, images: dict[int, Path], fps: float, wanted: Sequence[int]) -> Iterator[int]:
    """The wanted indices, each of which must have its image."""
    for index in wanted:
        if index not in images:
            raise InputError(
                f"{folder} lacks frame {index}, which {fps:g} rows per second need: "
                f"extract the frames again or ask for a lower fps."
            )
        yield index


def _read_image(path: Path, size: tuple[int, int]) -> np.ndarray:
    """An image file as RGB (H×W×3, uint8); `size` is the height and width it should have."""
    image = cv2.imdecode(np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise InputError(f"{path} is damaged: copy it again from its source.")
    if image.shape[:2] != size:
        found, wanted = (f"{width}×{height} px" for height, width in (image.shape[:2], size))
        raise InputError(f"{path} is read as {found} instead of {wanted}: extract it again.")
    return image
