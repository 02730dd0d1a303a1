"""A training on two videos, and networks that it may learn from."""

from dataclasses import replace

import pytest

from tests.trainers.ssl.taped import EPOCHS, SIZES, STEPS, run
from tests.trainers.tiny import BACKBONE, BATCH, SIZE_PX, untrained, write_recording
from trainers.data.augmentation import MoCoAugmentation
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain


@pytest.fixture
def videos(tmp_path):
    return [write_recording(tmp_path / name, [0, 1, 2, 1] * STEPS, name=name) for name in ("video01", "video02")]


@pytest.fixture
def inputs(videos):
    return {f"frames.{index}": folder for index, (_, folder) in enumerate(videos)}


@pytest.fixture
def stage_of(videos):
    def make(method, **optimisation):
        return Pretrain(
            frames=tuple(video for video, _ in videos),
            method=method,
            backbone=BACKBONE if not isinstance(method, MoCo) or method.start is None else method.start.backbone,
            augmentation=MoCoAugmentation(size_px=SIZE_PX),
            optimisation=Optimisation(epochs=EPOCHS, batch_size=BATCH, learning_rate=0.05, **optimisation),
            seed=5,
        )

    return make


@pytest.fixture
def free(tmp_path):
    return untrained(tmp_path / "free", seed=11), tmp_path / "free"


@pytest.fixture
def head_teacher(stage_of, inputs, free, tmp_path):
    """A teacher of which the head alone was trained."""
    stage = replace(stage_of(MoCo(**SIZES, start=free[0], trains="head")), seed=6)
    return stage, run(stage, tmp_path / "teacher", inputs | {"method.start": free[1]})
