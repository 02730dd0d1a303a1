"""A dataset that exists in name alone: digests without videos, for tests of what recipes ask."""

from pathlib import Path

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES
from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.datasets.m2cai16 import PHASES as M2CAI16_PHASES
from trainers.data.datasets.recordings import Subset

ANNOTATION = Path(__file__).parent / "annotation.txt"
M2CAI16_ANNOTATION = ANNOTATION.with_name("m2cai16_annotation.txt")
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


def fake_m2cai16(num_training: int = 10, num_test: int = 4) -> Dataset:
    """Another hospital's: M2CAI16's phases and sides."""
    subsets: list[Subset] = ["train"] * num_training + ["test"] * num_test
    return Dataset(
        name="fake-m2cai16",
        layout="m2cai16",
        root="/elsewhere",
        phases=M2CAI16_PHASES,
        recordings=tuple(
            RegisteredVideo(
                name=f"workflow_video_{number:02}",
                video=f"/elsewhere/{subset}_dataset/workflow_video_{number:02}.mp4",
                annotation=str(M2CAI16_ANNOTATION),
                subset=subset,
                video_digest=f"{2000 + number:032x}",
                annotation_digest=f"{3000 + number:032x}",
                num_frames=20_000,
                video_stamp=(1, number),
                annotation_stamp=(2, number),
            )
            for number, subset in enumerate(subsets, 1)
        ),
    )


def conditions(scale: str = "demo", preset: str = "corrected", num_videos: int = 10) -> Conditions:
    return Conditions(preset=PRESETS[preset], scale=SCALES[scale], dataset=fake_dataset(num_videos))
