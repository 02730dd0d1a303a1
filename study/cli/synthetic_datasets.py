"""Datasets of synthetic videos that a home makes by itself, and that plans know beforehand."""

import atexit
import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from search_spaces.protocol.scales import SCALES
from study.cli.videos import make_videos, register_videos
from study.core.store import Store
from study.home.request import Request
from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.datasets.description import Description, builtin, parse
from trainers.data.synthetic.hospitals import FIRST, Hospital
from trainers.data.synthetic.hospitals import SECOND as SECOND_HOSPITAL
from trainers.data.synthetic.videos import outline
from trainers.runtime.registry import names, stamp_of

LAYOUT = "cholec80"
UNMADE = "unmade"
"""Beginning of the digests of videos that do not exist yet."""


@dataclass(frozen=True, kw_only=True)
class SyntheticDataset:
    """A dataset of synthetic videos that a home makes by itself.

    Attributes:
        name: its name on the command line.
        folder: the folder of its videos in a home.
        hospital: whose operations they are.
        num_videos: number of its videos.
        minutes: their mean length.
        seed: of everything that is drawn.
    """

    name: str
    folder: str
    hospital: Hospital
    num_videos: int
    minutes: float = 0.5
    seed: int = 0

    def is_made(self, home: Path) -> bool:
        """Whether its videos are registered in a home."""
        return self.name in names(home / "datasets")

    @property
    def unmade_note(self) -> str:
        """Note of a plan whose videos do not exist yet."""
        return (
            f"The {self.num_videos} videos of dataset {self.name} do not exist yet: the first run makes them, in a few "
            "minutes. Until then keys are provisional, and so is which videos a label fraction takes."
        )

    def make(self, home: Path) -> None:
        """Makes and registers its videos in a home folder."""
        click.echo(f"making the {self.num_videos} surgical-like videos of {self.name} …", err=True)
        folder = home / self.folder
        make_videos(folder, self.num_videos, self.minutes, seed=self.seed, hospital=self.hospital)
        register_videos(Store(home), self.name, self._described(folder), folder)

    def _described(self, folder: Path) -> Description:
        hospital = self.hospital
        if not hospital.description:
            return builtin(LAYOUT)
        return parse(hospital.description, str(folder / hospital.description_file))

    @functools.cache  # noqa: B019 - there are three of them, for as long as the process lasts
    def unmade(self) -> Dataset:
        """The dataset as it will be, to be planned with: videos of their true lengths and phases, but no content."""
        folder = tempfile.TemporaryDirectory(prefix="freelunch-")
        atexit.register(folder.cleanup)
        root = Path(folder.name)
        videos = outline(root, num_videos=self.num_videos, minutes=self.minutes, seed=self.seed, hospital=self.hospital)
        described = self._described(root)
        return Dataset(
            name=self.name,
            layout=self.hospital.description_file if self.hospital.description else LAYOUT,
            root=str(root),
            phases=described.phases,
            description=described.text if self.hospital.description else None,
            source=described.source if self.hospital.description else None,
            synthetic=self.hospital.name,
            recordings=tuple(
                RegisteredVideo(
                    name=video.stem,
                    video=str(video),
                    annotation=str(annotation),
                    subset=None,
                    video_digest=f"{UNMADE} {self.name} {video.stem}",
                    annotation_digest=f"{UNMADE} {self.name} {annotation.stem}",
                    num_frames=num_frames,
                    fps=float(self.hospital.fps),
                    video_stamp=(0, 0),
                    annotation_stamp=stamp_of(annotation),
                )
                for video, annotation, num_frames in videos
            ),
        )


SYNTHETIC_DATASETS = {
    each.name: each
    for each in (
        SyntheticDataset(name="demo", folder="demo-videos", hospital=FIRST, num_videos=32),
        SyntheticDataset(name="demo-second", folder="demo-second-videos", hospital=SECOND_HOSPITAL, num_videos=24),
        SyntheticDataset(name="small", folder="small-videos", hospital=FIRST, num_videos=80, minutes=1, seed=1),
    )
}


def asked_synthetic_datasets(request: Request) -> tuple[SyntheticDataset, ...]:
    """The datasets of synthetic videos that a request is about, each once."""
    default = SCALES[request.scale].dataset if request.scale in SCALES else ""
    asked = (request.pretrain_on or "", request.dataset or default, *request.beside)
    return tuple(SYNTHETIC_DATASETS[name] for name in dict.fromkeys(asked) if name in SYNTHETIC_DATASETS)


def make_synthetic_where_asked(home: Path, request: Request, plan: Callable[[], object]) -> None:
    """Makes and registers the datasets of synthetic videos that a request needs and a home lacks.

    Args:
        home: the home folder.
        request: the request.
        plan: plans it: what cannot be planned is refused before videos are made.
    """
    missing = [each for each in asked_synthetic_datasets(request) if not each.is_made(home)]
    if missing:
        plan()
    for each in missing:
        each.make(home)
