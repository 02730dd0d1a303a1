"""Cholec80 as it is released: 80 videos at 25 fps, a phase per frame, and the names of its phases."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

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


def read_phases(path: Path, phases: Sequence[str]) -> np.ndarray:
    """Reads an annotation file: a header line, then a row `frame<TAB>phase` per 25-fps frame.

    Args:
        path: the file, such as `video01-phase.txt`.
        phases: the names a row may carry, in index order.

    Returns:
        The phase index of every frame (num_frames, int8).

    Raises:
        InputError: the file is missing, empty, malformed, skips or repeats a frame, or names an unknown phase.
    """
    lines = _lines(path)
    if len(lines) < 2:
        raise InputError(f"{path} is empty: copy it again from its source.")
    if re.match(r"\s*\d", lines[0]):
        raise InputError(f"{path}:1 is a row where the header 'Frame<TAB>Phase' should be: put the header back.")
    labels = np.empty(len(lines) - 1, np.int8)
    indices = {name: index for index, name in enumerate(phases)}
    for frame, line in enumerate(lines[1:]):
        labels[frame] = _phase_index(line, frame, indices, place=f"{path}:{frame + 2}")
    return labels


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: copy it from its source.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file (byte {error.start}): copy it again from its source.") from None


def _phase_index(line: str, frame: int, indices: dict[str, int], *, place: str) -> int:
    fields = line.split()
    if len(fields) != 2 or not fields[0].isdecimal():
        raise InputError(f"{place} reads {line!r} instead of 'frame<TAB>phase': correct the row.")
    if int(fields[0]) != frame:
        raise InputError(
            f"{place} is frame {fields[0]} where frame {frame} is due: put the missing or moved rows right."
        )
    if fields[1] not in indices:
        raise InputError(f"{place} names the unknown phase {fields[1]!r}: {_suggestion(fields[1], list(indices))}")
    return indices[fields[1]]


def _suggestion(name: str, valid: list[str]) -> str:
    nearest = difflib.get_close_matches(name, valid, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"it has to be one of {', '.join(valid)}."
