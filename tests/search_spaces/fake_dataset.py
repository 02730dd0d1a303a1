"""A dataset that exists in name alone: digests without videos, for tests of what recipes ask."""

from dataclasses import replace
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


def released_cholec80(hours: float = 51, num_videos: int = 80) -> Dataset:
    """Videos by the names of Cholec80's, and, where nothing else is said, with its number and length."""
    found = fake_dataset(num_videos)
    num_frames = round(hours * 3600 * 25 / num_videos)
    return replace(found, recordings=tuple(replace(each, num_frames=num_frames) for each in found.recordings))


def released_m2cai16() -> Dataset:
    """Videos by the names of M2CAI16's, on its sides."""
    found = fake_m2cai16(27, 14)
    tested = (
        replace(each, name=f"test_workflow_video_{number:02}") for number, each in enumerate(found.recordings[27:], 1)
    )
    return replace(found, name="challenge", recordings=(*found.recordings[:27], *tested))


def conditions(scale: str = "demo", preset: str = "corrected", num_videos: int = 10) -> Conditions:
    return Conditions(preset=PRESETS[preset], scale=SCALES[scale], dataset=fake_dataset(num_videos))
