"""Recordings of operations on this machine: video, annotation, and the digests of their content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainers.stage import InputError

Subset = Literal["train", "test"]

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Recording:
    """One operation of a dataset."""

    name: str
    """Its name in messages and tables, such as `video01`."""
    video: Path
    """The mp4, or the folder of frames that were cut from it."""
    annotation: Path | None
    subset: Subset | None = None
    """The side of the split the dataset's own layout puts it on, where it does."""


def digest(path: Path) -> str:
    """The content digest of a file: BLAKE2b, 16 bytes in hex."""
    content = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            content.update(chunk)
    return content.hexdigest()


def loose_videos(folder: Path) -> tuple[Recording, ...]:
    """The mp4 files of a folder, however they are named, ordered by name; none has an annotation.

    Raises:
        InputError: the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the folder that holds the unlabelled mp4 files.")
    videos = [path for path in visible_entries(folder) if path.suffix.lower() == ".mp4"]
    if not videos:
        raise InputError(f"{folder} holds no mp4: name the folder that holds the unlabelled mp4 files.")
    return tuple(Recording(path.stem, path, None) for path in videos)


def match(
    videos: Mapping[str, Path], annotations: Mapping[str, Path], *, labelled: bool, subset: Subset | None = None
) -> tuple[Recording, ...]:
    """Puts each video together with its annotation, in the order of the videos.

    Args:
        videos: every video by its name.
        annotations: every annotation by the name of its video.
        labelled: whether each video must have an annotation.
        subset: the side of the split they are all on, where the layout fixes it.

    Raises:
        InputError: an annotation has no video, or a video that must have an annotation has none.
    """
    for name in sorted(annotations.keys() - videos.keys()):
        raise InputError(
            f"{annotations[name]} annotates {name}, which has no video: add the video or move the file away."
        )
    for name in videos if labelled else ():
        if name not in annotations:
            raise InputError(f"{videos[name]} has no annotation: add the one of {name} or move the video away.")
    return tuple(Recording(name, video, annotations.get(name), subset) for name, video in videos.items())


def visible_entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name, without hidden files such as macOS's `._video01.mp4`."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
