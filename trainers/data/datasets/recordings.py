"""Recordings of operations on this machine: video, annotation, and the digests of their content."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainers.data.ingest.digested_file import DigestedFile
from trainers.names import check_line
from trainers.stage import InputError

Subset = Literal["train", "validation", "test"]

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".asf", ".flv", ".mxf", ".ogv"),
)
"""Endings of video files, in lower case; what a file is, its content says."""


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
    fold: int | None = None
    """The fold of the dataset's own cross-validation (1-based), where it has one."""
    images: str = ""
    """The pattern of its images' names in the folder; empty where any image is named by its index alone."""


def digest(path: Path) -> str:
    """The content digest of a file: BLAKE2b, 16 bytes in hex."""
    with DigestedFile(path) as file:
        return file.digest()


def check_files(recording: Recording, *, frames: bool) -> None:
    """Refuses a recording whose video or annotation cannot be what its name says, before anything is read.

    Args:
        recording: the recording.
        frames: whether its video is a folder of frames.

    Raises:
        InputError: a name is not UTF-8, a link leads nowhere, or something else lies where a file should be.
    """
    check_line(recording.name, f"a video in {recording.video.parent}")
    if frames and not recording.video.is_dir():
        raise InputError(f"{recording.video} is no folder of frames: {_what_lies_at(recording.video)}.")
    for path in (recording.annotation, *(() if frames else (recording.video,))):
        if path is not None and not path.is_file():
            raise InputError(f"{path} is no file: {_what_lies_at(path)}.")


def _what_lies_at(path: Path) -> str:
    """What lies at a path instead of a file, and what to do."""
    if path.is_dir():
        return "it is a folder; put the file itself in its place"
    if path.is_symlink() and not path.exists():
        return "it is a link that leads nowhere; put the file in its place, or link to where it is"
    return "it is missing, a pipe or a device; put the file itself in its place"


def visible_entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name, without hidden files such as macOS's `._video01.mp4`."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
