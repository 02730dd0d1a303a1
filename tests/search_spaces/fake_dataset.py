"""A dataset that exists in name alone: digests without videos, for tests of what recipes ask."""

from pathlib import Path

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES
from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.dataset import Dataset, RegisteredVideo

ANNOTATION = Path(__file__).parent / "annotation.txt"
"""Of every video: each phase for one frame."""


def fake_dataset(num_videos: int = 10) -> Dataset:
    return Dataset(
        name="fake",
        layout="cholec80",
        root="/nowhere",
        phases=PHASES,
        recordings=tuple(
            RegisteredVideo(
                name=f"video{number:02}",
                video=f"/nowhere/videos/video{number:02}.mp4",
                annotation=str(ANNOTATION),
                subset=None,
                video_digest=f"{number:032x}",
                annotation_digest=f"{1000 + number:032x}",
                num_frames=15_000,
                video_stamp=(1, number),
                annotation_stamp=(2, number),
            )
            for number in range(1, num_videos + 1)
        ),
    )


def conditions(scale: str = "demo", preset: str = "corrected", num_videos: int = 10) -> Conditions:
    return Conditions(preset=PRESETS[preset], scale=SCALES[scale], dataset=fake_dataset(num_videos))
