"""Frames that were already cut out of their videos: a folder per video, images named by their 25-fps index."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from trainers.data.datasets.cholec80 import phase_annotations
from trainers.data.datasets.recordings import Recording, match, visible_entries
from trainers.data.ingest.image_file import SUFFIXES, audit_images
from trainers.data.ingest.video import UNKNOWN_SECONDS, Ingest, Source
from trainers.data.ingest.video_file import NOMINAL_FPS
from trainers.stage import InputError

SECONDS_PER_IMAGE = 0.01
LAYOUT = "frames are laid out as video01/000025.jpg … and phase_annotations/video01-phase.txt …"


def discover(root: Path, *, labelled: bool = True) -> tuple[Recording, ...]:
    """Finds the folders of frames below a folder, ordered by name; annotations are placed as in Cholec80.

    Args:
        root: the folder that holds a folder per video; those named `…_annotations` are none.
        labelled: whether every video must have an annotation.

    Raises:
        InputError: there are no frames, or a video and an annotation are not a pair.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: name the folder that holds a folder of frames per video.")
    folders = [path for path in visible_entries(root) if path.is_dir() and not path.name.endswith("_annotations")]
    if not folders:
        raise InputError(f"{root} holds no folder of frames: {LAYOUT}.")
    videos = {folder.name: folder for folder in folders if images_by_index(folder)}
    return match(videos, phase_annotations(root), labelled=labelled)


def digest_frames(folder: Path) -> str:
    """The content digest of a folder of frames: over the images' names and bytes, sorted by index."""
    content = hashlib.blake2b(digest_size=16)
    for path in images_by_index(folder).values():
        if not path.is_file():
            raise InputError(f"{path} is no file: put the image itself in its place, or move it away.")
        data = path.read_bytes()
        content.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return content.hexdigest()


def images_by_index(folder: Path) -> dict[int, Path]:
    """The images of a folder by the 25-fps index that names them, in order.

    Raises:
        InputError: the folder is missing or has no images, or an image is no file or not named by an index of its own.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: put the frames back or name the folder they have moved to.")
    images: dict[int, Path] = {}
    for path in visible_entries(folder):
        if path.suffix.lower() not in SUFFIXES:
            continue
        if not path.stem.isdecimal():
            raise InputError(f"{path} is not named by its index at {NOMINAL_FPS} fps: rename it or move it away.")
        if int(path.stem) in images:
            raise InputError(f"{path} has the index of {images[int(path.stem)].name}: move one of them away.")
        if not path.is_file():
            raise InputError(f"{path} is no file that can be read: put the image back or move the entry away.")
        images[int(path.stem)] = path
    if not images:
        raise InputError(f"{folder} holds no images ({', '.join(SUFFIXES)}): {LAYOUT}.")
    return dict(sorted(images.items()))


def num_source_frames(folder: Path) -> int:
    """The length of the video that a folder's frames were cut from, as far as its last frame tells."""
    return max(images_by_index(folder)) + 1


@dataclass(frozen=True, kw_only=True)
class FrameFolder(Ingest):
    """The frame store of one folder of frames; `video_path` is the folder, `video_digest` its `digest_frames`."""

    def examine(self) -> tuple[str, ...]:
        images = images_by_index(self.video_path)
        length, warnings = self.beside_annotation(slack=_slack(list(images)))
        for _ in _due(self.video_path, images, range(0, length, self.step)):
            pass
        return warnings

    def open(self, threads: int) -> Source:
        images = images_by_index(self.video_path)
        indices = list(images)
        audit = audit_images(list(images.values()), threads=threads)
        read = partial(_read_image, size=(audit.height_px, audit.width_px))
        return Source(
            fps=NOMINAL_FPS,
            width_px=audit.width_px,
            height_px=audit.height_px,
            num_frames=indices[-1] + 1,
            samples=lambda count: [read(images[indices[i]]) for i in _spread(len(indices), count)],
            images=partial(_read_rows, self.video_path, images, read),
            warnings=audit.warnings,
            slack=_slack(indices),
        )

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
    folder: Path, images: dict[int, Path], read: Callable[[Path], np.ndarray], wanted: range
) -> Iterator[tuple[int, np.ndarray]]:
    for index in _due(folder, images, wanted):
        yield index, read(images[index])


def _due(folder: Path, images: dict[int, Path], wanted: range) -> Iterator[int]:
    """The wanted indices, each of which must have its image."""
    for index in wanted:
        if index not in images:
            raise InputError(
                f"{folder} lacks frame {index}, which a row every {wanted.step} frames needs: "
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
