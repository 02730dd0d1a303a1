"""Dataset of recordings: how its folder is laid out, and the stages that ingest its videos."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainers.data.datasets import cholec80, frame_folders, m2cai16
from trainers.data.datasets.frame_folders import FrameFolder
from trainers.data.datasets.recordings import Recording, Subset
from trainers.data.ingest.video import Ingest, Video
from trainers.runtime.registry import Stamp


@dataclass(frozen=True)
class Layout:
    """Layout of a dataset's folder: how recordings are found in it, and the names of its phases."""

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
    video_stamp: Stamp
    annotation_stamp: Stamp | None
    stream_digest: str | None = None
    """Of the encoded frames alone; None for folders of frames, and for records of earlier versions."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A registered dataset.

    Attributes:
        name: its name on the command line.
        layout: a key of `LAYOUTS`.
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
