"""Dataset of recordings: what was described and registered, and the stages that ingest its videos."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from trainers.data.datasets.description import Description, builtin, parse
from trainers.data.datasets.frame_folders import FrameFolder
from trainers.data.datasets.recordings import Subset
from trainers.data.ingest.looks import Oddity
from trainers.data.ingest.stretches import Stretch
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest, Video
from trainers.runtime.registry import Stamp

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
    fps: float = float(NOMINAL_FPS)
    """The rate at which `num_frames` are counted."""
    num_images: int | None = None
    """Of a folder of frames; None for videos, and for records of earlier versions."""
    fold: int | None = None
    """The fold of the dataset's own cross-validation (1-based), where it has one."""
    images: str = ""
    """The pattern of its images' names in the folder; empty where any image is named by its index alone."""
    oddities: tuple[Oddity, ...] = ()
    """What is odd about its pixels."""
    stretches: tuple[Stretch, ...] = ()
    """Long black or frozen stretches."""
    copies: tuple[str, ...] = ()
    """Digests of other recordings, of any dataset that was known at registration, which show the same frames."""
    timeline: str | None = None
    """The file that its timeline is kept in, for a video; there may be none any more."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A registered dataset.

    Attributes:
        name: its name on the command line.
        layout: the name of a built-in description, or of the file with the description.
        root: the folder it was registered from.
        phases: names of the phases, in index order.
        recordings: its videos, in the layout's order; those without annotation, the last, serve pre-training alone.
        unlabelled: the folder that these were registered from, where there are any.
        description: the text of the description; None in records of earlier versions, which were built in.
        source: the path of its file; None where it is built in.
        image_fps: the rate of images, where it was given at registration.
        synthetic: the synthetic hospital whose operations they are, by the generator's mark; None where there is none.
    """

    name: str
    layout: str
    root: str
    phases: tuple[str, ...]
    recordings: tuple[RegisteredVideo, ...]
    unlabelled: str | None = None
    description: str | None = None
    source: str | None = None
    image_fps: float | None = None
    synthetic: str | None = None

    @property
    def described(self) -> Description:
        """What the dataset was registered by."""
        found = (
            builtin(self.layout) if self.description is None else _parsed(self.description, self.source or self.layout)
        )
        return found if self.image_fps is None else found.at_rate(self.image_fps)

    @property
    def hours(self) -> float:
        """The length of all recordings."""
        return sum(each.num_frames / each.fps for each in self.recordings) / 3600

    @property
    def folds(self) -> tuple[int | None, ...]:
        """The fold that the description puts each annotated video into (1-based), where it does."""
        return tuple(recording.fold for recording in self.recordings if recording.annotation)

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
        described = self.described
        stage: Callable[..., Ingest] = partial(
            Video,
            oddities=recording.oddities,
            timeline_path=Path(recording.timeline) if recording.timeline else None,
        )
        num_frames, rate = recording.num_frames, recording.fps
        if described.timing == "seconds":
            num_frames, rate = round(recording.num_frames / recording.fps * NOMINAL_FPS), float(NOMINAL_FPS)
        if described.fps is not None:
            stage = partial(FrameFolder, source_fps=described.fps, images=recording.images)
        return stage(
            name=recording.name,
            video_digest=recording.video_digest,
            annotation_digest=recording.annotation_digest,
            phases=self.phases,
            annotation_format=described.annotation_format,
            timing=described.timing,
            fps=fps,
            size_px=size_px,
            video_path=Path(recording.video),
            annotation_path=Path(recording.annotation) if recording.annotation else None,
            own_fps=recording.fps,
            num_source_frames=num_frames,
            stretches=tuple((round(each.start * rate), round(each.stop * rate)) for each in recording.stretches),
        )


@cache
def _parsed(text: str, source: str) -> Description:
    return parse(text, source)
