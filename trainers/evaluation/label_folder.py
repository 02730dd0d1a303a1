"""Folders of label files: which file is of which video."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.data.datasets.patterns import Pattern, regex_of
from trainers.data.datasets.recordings import visible_entries
from trainers.names import check_line
from trainers.stage import InputError

ENDINGS = (".txt", ".csv", ".tsv")
SUFFIXES = ("phase", "phases", "pred", "preds", "prediction", "predictions", "label", "labels", "annotation", "gt")
OTHER_SUFFIXES = ("timestamp", "tool")
"""Of files beside annotations that hold something else."""


@dataclass(frozen=True, kw_only=True)
class LabelFolder:
    """Files of one folder, by the name of their video.

    Attributes:
        path: the folder.
        files: a file per video.
        described: the videos whose file is named as a description says.
    """

    path: Path
    files: Mapping[str, Path]
    described: frozenset[str] = frozenset()


def label_folder(path: Path, what: str, described: Sequence[Pattern] = ()) -> LabelFolder:
    """The label files of a folder by the name of their video.

    They are the files that a description names, in the data set's folder or in that of the files themselves. Of any
    other file the video has its name, without the usual suffixes.

    Args:
        path: the folder.
        what: what its files hold, for messages.
        described: the patterns of a description.

    Raises:
        InputError: it is no folder, holds no such file, or two of one video.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder: name the folder that holds the {what}, a file per video.")
    below = [(each.name, each.path) for pattern in described if pattern.parts[1:] for each in pattern.find(path)]
    if below:
        files = _by_video(path, below)
        return LabelFolder(path=path, files=files, described=frozenset(files))
    alike = dict(_described_files(path, described))
    rest = ((name, entry) for entry in visible_entries(path) if entry not in alike and (name := _video_of(entry)))
    files = _by_video(path, [*((name, entry) for entry, name in alike.items()), *rest])
    if not files:
        raise InputError(f"{path} holds no {', '.join(ENDINGS)} file: name the folder that holds the {what}.")
    return LabelFolder(path=path, files=files, described=frozenset(alike.values()))


def _by_video(path: Path, found: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for name, entry in found:
        if name in files:
            raise InputError(f"{entry} and {files[name]} are both of {name}: move one of them away.")
        check_line(name, f"the video of a file in {path}")
        if not entry.is_file():
            raise InputError(f"{entry} is no file, or a link that leads nowhere: put the file itself in its place.")
        files[name] = entry
    return files


def _described_files(path: Path, described: Sequence[Pattern]) -> Iterator[tuple[Path, str]]:
    """The files in a folder that are named like the last part of a pattern, and the name of their video."""
    for pattern in described:
        expression = regex_of(pattern.parts[-1])
        for entry in visible_entries(path) if "name" in expression.groupindex else ():
            match = expression.fullmatch(entry.name)
            if match:
                yield entry, match["name"]


def _video_of(path: Path) -> str | None:
    """The name of the video that a label file is of; None for other files."""
    if path.suffix.lower() not in ENDINGS or path.is_dir():
        return None
    stem = path.stem
    while True:
        name, suffix = _split(stem)
        if suffix in OTHER_SUFFIXES:
            return None
        if suffix not in SUFFIXES:
            return stem
        stem = name


def _split(stem: str) -> tuple[str, str]:
    """A name and its suffix in small letters, apart at the last hyphen or underscore; no suffix where there is none."""
    place = max(stem.rfind("-"), stem.rfind("_"))
    return (stem[:place], stem[place + 1 :].lower()) if place > 0 else (stem, "")
