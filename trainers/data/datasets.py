"""Registered datasets: a name for a set of recordings whose content was digested once, at ingest."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from trainers.data import cholec80, m2cai16
from trainers.data.ingest import Video
from trainers.data.recording import Recording, Subset, digest
from trainers.data.video_file import read_timeline
from trainers.stage import InputError


@dataclass(frozen=True)
class Layout:
    """How a dataset lies on disk, and what its phases are called."""

    discover: Callable[[Path], tuple[Recording, ...]]
    phases: tuple[str, ...]


LAYOUTS = {
    "cholec80": Layout(cholec80.discover, cholec80.PHASES),
    "m2cai16": Layout(m2cai16.discover, m2cai16.PHASES),
}


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
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A registered dataset.

    Attributes:
        name: what the command line calls it.
        layout: how it lies on disk.
        root: the folder it was registered from.
        phases: names of the phases, in index order.
        recordings: its videos, in the layout's order.
    """

    name: str
    layout: str
    root: str
    phases: tuple[str, ...]
    recordings: tuple[RegisteredVideo, ...]

    @property
    def subsets(self) -> tuple[Subset | None, ...]:
        """The side of the split that the layout puts each video on, where it does."""
        return tuple(recording.subset for recording in self.recordings)

    def videos(self, *, fps: float, size_px: int) -> tuple[Video, ...]:
        """The stages that ingest every video at a rate and size."""
        return tuple(
            Video(
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
            for recording in self.recordings
        )


def register(folder: Path, name: str, layout: str, root: Path, report: Callable[[str], None]) -> Dataset:
    """Digests every recording below `root` and remembers them under a name.

    A recording whose file has the size and time of modification it had when it was last digested is not read again.

    Args:
        folder: where registered datasets are kept.
        name: what to call the dataset.
        layout: a key of `LAYOUTS`.
        root: the dataset's folder.
        report: hears the name of every recording that has been digested.

    Raises:
        InputError: the folder is not laid out as said, or a video cannot be read.
    """
    known = {video.video: video for video in _known(folder, name)}
    found = LAYOUTS[layout].discover(root.resolve())

    def registered(recording: Recording) -> RegisteredVideo:
        video = _registered(recording, known.get(str(recording.video)))
        report(recording.name)
        return video

    with ThreadPoolExecutor(2) as pool:
        recordings = tuple(pool.map(registered, found))
    dataset = Dataset(
        name=name, layout=layout, root=str(root.resolve()), phases=LAYOUTS[layout].phases, recordings=recordings
    )
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{name}.json.part"
    temporary.write_text(json.dumps(asdict(dataset), indent=1))
    temporary.rename(folder / f"{name}.json")
    return dataset


def load(folder: Path, name: str) -> Dataset:
    """A registered dataset.

    Raises:
        InputError: it is not registered, or a video changed since it was.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        known = ", ".join(names(folder)) or "none"
        raise InputError(
            f"no dataset named {name!r} (registered: {known}): `freelunch ingest cholec80 FOLDER --name {name}` adds it."
        )
    content = json.loads(path.read_text())
    recordings = tuple(RegisteredVideo(**recording) for recording in content.pop("recordings"))
    dataset = Dataset(**{**content, "phases": tuple(content["phases"])}, recordings=recordings)
    for recording in recordings:
        video = Path(recording.video)
        if video.exists() and not _is_unchanged(video, recording):
            raise InputError(
                f"{video} changed since dataset {name!r} was ingested: "
                f"`freelunch ingest {dataset.layout} {dataset.root} --name {name}` reads it again."
            )
    return dataset


def names(folder: Path) -> list[str]:
    """The names of all registered datasets."""
    return sorted(path.stem for path in folder.glob("*.json"))


def _known(folder: Path, name: str) -> tuple[RegisteredVideo, ...]:
    path = folder / f"{name}.json"
    if not path.exists():
        return ()
    return tuple(RegisteredVideo(**recording) for recording in json.loads(path.read_text())["recordings"])


def _registered(recording: Recording, known: RegisteredVideo | None) -> RegisteredVideo:
    unchanged = known is not None and _is_unchanged(recording.video, known)
    stat = recording.video.stat()
    return RegisteredVideo(
        name=recording.name,
        video=str(recording.video),
        annotation=str(recording.annotation) if recording.annotation else None,
        subset=recording.subset,
        video_digest=known.video_digest if known and unchanged else digest(recording.video),
        annotation_digest=digest(recording.annotation) if recording.annotation else None,
        num_frames=known.num_frames if known and unchanged else read_timeline(recording.video).num_frames,
        size_bytes=stat.st_size,
        modified_ns=stat.st_mtime_ns,
    )


def _is_unchanged(path: Path, recording: RegisteredVideo) -> bool:
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (recording.size_bytes, recording.modified_ns)
