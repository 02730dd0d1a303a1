"""Registered datasets: a name for a set of recordings whose content was digested once, at ingest."""

import json
import re
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainers.data.datasets import cholec80, frame_folders, m2cai16
from trainers.data.datasets.frame_folders import FrameFolder
from trainers.data.datasets.recordings import Recording, Subset, digest, loose_videos
from trainers.data.ingest.video import Ingest, Video
from trainers.data.ingest.video_file import read_timeline
from trainers.stage import InputError, MachineError


@dataclass(frozen=True)
class Layout:
    """How a dataset lies on disk, what its phases are called, and how its videos are read."""

    discover: Callable[[Path], tuple[Recording, ...]]
    phases: tuple[str, ...]
    frames: bool = False
    """Whether videos are folders of frames instead of mp4 files; unlabelled ones are then, too."""


LAYOUTS = {
    "cholec80": Layout(cholec80.discover, cholec80.PHASES),
    "m2cai16": Layout(m2cai16.discover, m2cai16.PHASES),
    "frames": Layout(frame_folders.discover, cholec80.PHASES, frames=True),
}


_VIDEOS = "_freelunch_videos"


@dataclass(frozen=True, kw_only=True)
class RegisteredVideo:
    """A recording as it was when it was digested."""

    name: str
    video: str
    annotation: str | None
    subset: Subset | None
    video_digest: str
    annotation_digest: str | None
    num_frames: int
    video_stamp: tuple[int, int]
    """Size in bytes and time of modification in nanoseconds: where they stay, the content has stayed."""
    annotation_stamp: tuple[int, int] | None
    stream_digest: str | None = None
    """Of the encoded frames alone; None where the frames lie in a folder, or were digested before this was noted."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A registered dataset.

    Attributes:
        name: what the command line calls it.
        layout: how it lies on disk.
        root: the folder it was registered from.
        phases: names of the phases, in index order.
        recordings: its videos, in the layout's order; those without annotation, the last, serve pre-training alone.
        unlabelled: the folder that these were registered from, where there are any.
    """

    name: str
    layout: str
    root: str
    phases: tuple[str, ...]
    recordings: tuple[RegisteredVideo, ...]
    unlabelled: str | None = None

    @property
    def subsets(self) -> tuple[Subset | None, ...]:
        """The side of the split that the layout puts each annotated video on, where it does."""
        return tuple(recording.subset for recording in self.recordings if recording.annotation)

    def videos(self, *, fps: float, size_px: int) -> tuple[Ingest, ...]:
        """The stages that ingest every video at a rate and size; the same objects whenever asked again.

        A thousand trials then share them, and each has its key computed once.
        """
        made: dict[tuple[float, int], tuple[Ingest, ...]] = vars(self).setdefault(_VIDEOS, {})
        if (fps, size_px) not in made:
            made[fps, size_px] = tuple(self._video(recording, fps, size_px) for recording in self.recordings)
        return made[fps, size_px]

    def _video(self, recording: RegisteredVideo, fps: float, size_px: int) -> Ingest:
        stage = FrameFolder if LAYOUTS[self.layout].frames else Video
        return stage(
            name=recording.name,
            video_digest=recording.video_digest,
            annotation_digest=recording.annotation_digest,
            phases=self.phases,
            fps=fps,
            size_px=size_px,
            video_path=Path(recording.video),
            annotation_path=Path(recording.annotation) if recording.annotation else None,
            num_source_frames=recording.num_frames,
        )


def register(
    folder: Path, name: str, layout: str, root: Path, report: Callable[[str], None], unlabelled: Path | None = None
) -> Dataset:
    """Digests every recording below `root` and remembers them under a name.

    A video that has the size and time of modification it had when it was last digested is not read again.

    Args:
        folder: where registered datasets are kept.
        name: what to call the dataset.
        layout: a key of `LAYOUTS`.
        root: the dataset's folder.
        report: hears the name of every recording that has been digested.
        unlabelled: a folder of further videos without annotations, for pre-training alone.

    Raises:
        InputError: the name is no plain word, a folder is not laid out as said, a video cannot be read, or an
            unlabelled video is an annotated one.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"{name!r} cannot name a dataset: use letters, digits, '-', '_' and '.'.")
    known = {video.video: video for video in _known(folder, name)}
    found = LAYOUTS[layout].discover(root.resolve())
    if unlabelled:
        found += _unlabelled(LAYOUTS[layout], unlabelled.resolve())

    def registered(recording: Recording) -> RegisteredVideo:
        video = _registered(recording, known.get(str(recording.video)), frames=LAYOUTS[layout].frames)
        report(recording.name)
        return video

    with ThreadPoolExecutor(2) as pool:
        recordings = tuple(pool.map(registered, found))
    _check_distinct(recordings)
    dataset = Dataset(
        name=name,
        layout=layout,
        root=str(root.resolve()),
        phases=LAYOUTS[layout].phases,
        recordings=recordings,
        unlabelled=str(unlabelled.resolve()) if unlabelled else None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{name}.json.part"
    temporary.write_text(json.dumps(asdict(dataset), indent=1))
    temporary.rename(folder / f"{name}.json")
    return dataset


def load(folder: Path, name: str) -> Dataset:
    """A registered dataset.

    Raises:
        InputError: it is not registered, or a video or annotation changed since it was.
        MachineError: what was remembered of it cannot be read.
    """
    if name not in names(folder):
        known = ", ".join(names(folder)) or "none"
        layout = name if name in LAYOUTS else "cholec80"
        raise InputError(
            f"no dataset named {name!r} (registered: {known}): "
            f"`freelunch ingest {layout} FOLDER --name {name}` adds it."
        )
    dataset = _read(folder / f"{name}.json")
    for recording in dataset.recordings:
        for file, stamp in (
            (recording.video, recording.video_stamp),
            (recording.annotation, recording.annotation_stamp),
        ):
            if file and Path(file).exists() and _stamp(Path(file)) != stamp:
                raise InputError(
                    f"{file} changed since dataset {name!r} was ingested: "
                    f"`freelunch {shlex.join(_ingest_command(dataset))}` reads it again."
                )
    return dataset


def names(folder: Path) -> list[str]:
    """The names of all registered datasets."""
    return sorted(path.stem for path in folder.glob("*.json"))


def _ingest_command(dataset: Dataset) -> list[str]:
    unlabelled = ["--unlabelled", dataset.unlabelled] if dataset.unlabelled else []
    return ["ingest", dataset.layout, dataset.root, *unlabelled, "--name", dataset.name]


def _unlabelled(layout: Layout, folder: Path) -> tuple[Recording, ...]:
    found = frame_folders.discover(folder, labelled=False) if layout.frames else loose_videos(folder)
    return tuple(replace(recording, annotation=None, subset=None) for recording in found)


def _check_distinct(recordings: Iterable[RegisteredVideo]) -> None:
    """Refuses a video that is there twice: its copy could train a model that it tests."""
    seen: dict[str, RegisteredVideo] = {}
    for recording in recordings:
        digests = [each for each in (recording.video_digest, recording.stream_digest) if each is not None]
        twin = next((seen[each] for each in digests if each in seen), None)
        seen |= dict.fromkeys(digests, recording)
        if twin is None:
            continue
        if (twin.annotation is None) != (recording.annotation is None):
            unlabelled, annotated = sorted((twin, recording), key=lambda each: each.annotation is not None)
            raise InputError(
                f"{unlabelled.video} is the same video as {annotated.video}, which is annotated: "
                "move it away from the unlabelled ones."
            )
        raise InputError(f"{recording.video} is the same video as {twin.video}: move one of them away.")


def _known(folder: Path, name: str) -> tuple[RegisteredVideo, ...]:
    """What is remembered of a dataset's videos; nothing where that cannot be read, so that they are digested anew."""
    try:
        return _read(folder / f"{name}.json").recordings if name in names(folder) else ()
    except MachineError:
        return ()


def _read(path: Path) -> Dataset:
    try:
        content = json.loads(path.read_text())
        recordings = tuple(_video(recording) for recording in content.pop("recordings"))
        return Dataset(**{**content, "phases": tuple(content["phases"])}, recordings=recordings)
    except (OSError, ValueError, TypeError, KeyError):
        raise MachineError(
            f"{path} cannot be read: `freelunch ingest LAYOUT FOLDER --name {path.stem}` registers the dataset again."
        ) from None


def _video(record: dict[str, Any]) -> RegisteredVideo:
    stamps = {name: record[name] and tuple(record[name]) for name in ("video_stamp", "annotation_stamp")}
    return RegisteredVideo(**{**record, **stamps})


def _registered(recording: Recording, known: RegisteredVideo | None, *, frames: bool) -> RegisteredVideo:
    stamp = _stamp(recording.video)
    # The stamp of a folder does not tell whether an image in it has changed.
    unchanged = known if known is not None and known.video_stamp == stamp and not frames else None
    if unchanged:
        video_digest, stream_digest, num_frames = unchanged.video_digest, unchanged.stream_digest, unchanged.num_frames
    elif frames:
        video_digest, stream_digest = frame_folders.digest_frames(recording.video), None
        num_frames = frame_folders.num_source_frames(recording.video)
    else:
        timeline = read_timeline(recording.video)
        video_digest, stream_digest, num_frames = digest(recording.video), timeline.stream_digest, timeline.num_frames
    return RegisteredVideo(
        name=recording.name,
        video=str(recording.video),
        annotation=str(recording.annotation) if recording.annotation else None,
        subset=recording.subset,
        video_digest=video_digest,
        annotation_digest=digest(recording.annotation) if recording.annotation else None,
        num_frames=num_frames,
        video_stamp=stamp,
        annotation_stamp=_stamp(recording.annotation) if recording.annotation else None,
        stream_digest=stream_digest,
    )


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
