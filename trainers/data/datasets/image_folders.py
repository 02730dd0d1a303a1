"""Folders of images that a pattern such as `frames/{name}/{frame}.png` finds, or one with the images of all videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.data.datasets.patterns import Pattern, regex_of
from trainers.data.datasets.recordings import Recording, visible_entries
from trainers.data.ingest.findings import Finding
from trainers.data.ingest.image_file import SUFFIXES

BY_INDEX_ALONE = "{frame}.*"
"""The pattern of images' names that folders of frames had before there were descriptions."""
ANNOTATIONS = "_annotations"
"""Ending of folders beside those of frames that hold none."""


@dataclass(frozen=True, kw_only=True)
class ImageFolders:
    """Recordings that are folders of images, and findings on what lies beside them."""

    recordings: tuple[Recording, ...]
    findings: tuple[Finding, ...]


def find_image_folders(root: Path, pattern: Pattern, annotations: Sequence[Pattern]) -> ImageFolders:
    """The recordings whose images a pattern finds, by name.

    Args:
        root: the folder that the pattern begins at.
        pattern: of the images.
        annotations: patterns of the annotations: their folders hold no images.
    """
    folder, images = Pattern("/".join(pattern.parts[:-1])), pattern.parts[-1]
    if not folder.has("name"):
        return _in_one_folder(pattern.folders(root), images)
    others = {path for each in annotations for path in each.folders(root)}
    recordings: list[Recording] = []
    findings: list[Finding] = []
    for found in folder.find(root):
        if not found.path.is_dir() or found.path in others or found.name.endswith(ANNOTATIONS):
            continue
        names = "" if images == BY_INDEX_ALONE else images
        recordings.append(Recording(found.name, found.path, None, images=names))
        findings += _faults(found.path, images, found.name)
    return ImageFolders(recordings=tuple(recordings), findings=tuple(findings))


def _in_one_folder(folders: Sequence[Path], images: str) -> ImageFolders:
    """The recordings whose images lie side by side."""
    recordings: dict[tuple[str, Path], Recording] = {}
    findings: list[Finding] = []
    expression = regex_of(images, suffixes=tuple(SUFFIXES))
    for path in (path for folder in folders for path in _images(folder)):
        match = expression.fullmatch(path.name)
        if match:
            place = match["name"], path.parent
            recordings.setdefault(place, Recording(match["name"], path.parent, None, images=images))
        else:
            findings.append(_misnamed(path, images))
    return ImageFolders(recordings=tuple(recordings[place] for place in sorted(recordings)), findings=tuple(findings))


def _faults(folder: Path, images: str, name: str) -> Iterator[Finding]:
    """Findings on a folder without images, and on images whose names have no index."""
    paths = list(_images(folder))
    if not paths:
        message = f"holds no images ({', '.join(SUFFIXES)})"
        yield Finding(path=str(folder), message=message, remedy="put them into it, or move the folder away")
    expression = regex_of(images, name, tuple(SUFFIXES))
    for path in paths:
        if not expression.fullmatch(path.name):
            yield _misnamed(path, images)


def _misnamed(path: Path, images: str) -> Finding:
    message = f"is not named by its index, like {images!r}"
    return Finding(path=str(path), message=message, remedy="rename it or move it away")


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in visible_entries(folder) if path.suffix.lower() in SUFFIXES)
