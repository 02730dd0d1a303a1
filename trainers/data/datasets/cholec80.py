"""Cholec80 as it is released: 80 videos at 25 fps, a phase per frame, and the names of its phases."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from trainers.data.datasets.recordings import Recording, Subset, match, visible_entries
from trainers.stage import InputError

PHASES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
"""In index order, as Cholec80's annotation files write them."""

LAST_TRAINING_VIDEO = 40
"""Of the published split; also where some of the 80 videos are missing."""

LAYOUT = "Cholec80 is laid out as videos/video01.mp4 … and phase_annotations/video01-phase.txt …"


def discover(root: Path, *, labelled: bool = True) -> tuple[Recording, ...]:
    """Finds the recordings below Cholec80's folder, ordered by name.

    Args:
        root: the folder that holds `videos/` and `phase_annotations/`.
        labelled: whether every video must have an annotation.

    Raises:
        InputError: the folder is not laid out like Cholec80, or a video and an annotation are not a pair.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: name the folder that holds Cholec80's videos/.")
    if not (root / "videos").is_dir():
        raise InputError(f"{root} has no folder videos/: {LAYOUT}.")
    videos = _videos(root / "videos")
    if not videos:
        raise InputError(f"{root / 'videos'} holds no mp4: {LAYOUT}.")
    recordings = match(videos, phase_annotations(root), labelled=labelled)
    return tuple(
        replace(recording, subset=subset) for recording, subset in zip(recordings, _subsets(videos), strict=True)
    )


def _subsets(names: Iterable[str]) -> list[Subset | None]:
    """The published sides by number, videos 1 to 40 against 41 to 80; none where no number is that high."""
    numbers = [int(name.removeprefix("video")) for name in names]
    if max(numbers) <= LAST_TRAINING_VIDEO:
        return [None] * len(numbers)
    return ["train" if number <= LAST_TRAINING_VIDEO else "test" for number in numbers]


def phase_annotations(root: Path) -> dict[str, Path]:
    """The files `phase_annotations/NAME-phase.txt` below a dataset's folder, by the name of their video."""
    folder = root / "phase_annotations"
    entries = visible_entries(folder) if folder.is_dir() else []
    return {path.name.removesuffix("-phase.txt"): path for path in entries if path.name.endswith("-phase.txt")}


def _videos(folder: Path) -> dict[str, Path]:
    videos = {}
    for path in visible_entries(folder):
        if path.suffix.lower() != ".mp4":
            continue
        if not re.fullmatch(r"video\d{2,}\.mp4", path.name):
            raise InputError(f"{path} is not named like video01.mp4: rename it or move it away.")
        videos[path.stem] = path
    return videos
