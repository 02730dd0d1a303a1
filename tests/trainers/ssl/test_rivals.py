"""SimSiam and SwAV as stages, from frames to features: methods that leave one encoder, with a head of their own."""

from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import (
    BATCH,
    EMBEDDING,
    ONE_SPLIT,
    PHASES,
    SIZE_PX,
    assert_same_state,
    raising,
    work,
    write_recording,
)
from trainers.artifacts.history import read_history
from trainers.data.augmentation import MoCoAugmentation, MultiCropAugmentation
from trainers.pretrained.release import Release
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.sequences import read_sequence
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.ssl.larc import LARCOptimisation
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.swav import SwAV
from trainers.stage import InputError, Resources

EPOCHS = 3
SMALL_PX = 24
"""At 16 px, the last stage would see single cells, whose gradients in bfloat16 torch 2.15 gets wrong on CPUs."""
SIMSIAM = {
    "method": SimSiam(embedding_size=EMBEDDING, predictor_size=3),
    "augmentation": MoCoAugmentation(size_px=SIZE_PX),
    "optimisation": Optimisation(epochs=EPOCHS, batch_size=BATCH, learning_rate=0.05),
}
SWAV = {
    "method": SwAV(num_prototypes=12, queue_size=2 * BATCH, queue_from_epoch=1, embedding_size=EMBEDDING),
    "augmentation": MultiCropAugmentation(size_px=SIZE_PX, small_size_px=SMALL_PX, num_small=2),
    "optimisation": LARCOptimisation(epochs=EPOCHS, batch_size=BATCH),
}


class Killed(BaseException):
    """What a test ends a run with."""


@pytest.fixture
def video(tmp_path):
    return write_recording(tmp_path / "video", [0, 1, 2, 1] * 6)


@pytest.fixture(params=[SIMSIAM, SWAV], ids=["SimSiam", "SwAV"])
def stage(request, video):
    return Pretrain(frames=(video[0],), backbone=ONE_SPLIT, seed=5, **request.param)


def run(stage, output, video):
    stage.run(work(output, {"frames.0": video[1]}))
    return read_weights(output), read_history(output)


def test_a_run_killed_and_resumed_is_the_run_that_was_not(stage, video, tmp_path):
    weights, history = run(stage, tmp_path / "whole", video)
    with pytest.raises(Killed):
        stage.run(work(tmp_path / "killed", {"frames.0": video[1]}, listener=raising(Killed, after=2)))
    resumed_weights, resumed_history = run(stage, tmp_path / "killed", video)
    assert_same_state(resumed_weights, weights)
    assert resumed_history == history
    assert len(history["loss"]) == EPOCHS


def test_what_is_left_is_the_query_encoder_alone(stage, video, tmp_path):
    weights, history = run(stage, tmp_path / "out", video)
    assert weights.keys() == {"query"}
    backbone = load_backbone(stage, tmp_path / "out")
    assert_same_state(
        {f"backbone.{name}": value for name, value in backbone.state_dict().items()},
        {name: value for name, value in weights["query"].items() if name.startswith("backbone.")},
    )
    assert not backbone.training
    assert ("output_std" in history) == isinstance(stage.method, SimSiam)


@pytest.mark.parametrize("mode", ["linear", "full"])
def test_its_backbone_is_fine_tuned_and_gives_features(stage, mode, video, tmp_path):
    run(stage, tmp_path / "encoder", video)
    classifier = FineTune(
        encoder=stage, videos=(video[0],), mode=mode, num_phases=len(PHASES), size_px=SIZE_PX, sample_every=1, epochs=1
    )
    classifier.run(work(tmp_path / "classifier", {"encoder": tmp_path / "encoder", "videos.0": video[1]}))
    features = ExtractFeatures(model=classifier, videos=(video[0],), sample_every=1)
    features.run(work(tmp_path / "features", {"model": tmp_path / "classifier", "videos.0": video[1]}))
    found = read_sequence(tmp_path / "features", video[0].name).features
    assert found.shape == (24, ONE_SPLIT.num_features)
    assert found.std() > 0


def test_it_trains_in_bfloat16(stage, video, tmp_path):
    _, history = run(
        replace(stage, optimisation=replace(stage.optimisation, precision="bf16")), tmp_path / "out", video
    )
    assert all(torch.isfinite(torch.tensor(value)) for value in history["loss"].values())


def test_methods_that_need_a_key_encoder_refuse_it(stage):
    name = type(stage.method).__name__
    refusals = {
        "start": lambda: replace(stage, method=MoCo(queue_size=BATCH, embedding_size=EMBEDDING, start=stage)),
        "teacher": lambda: replace(stage, method=DistilledMoCo(queue_size=BATCH, teacher=stage)),
        "encoder to release": lambda: Release(encoder=stage),
    }
    for role, refused in refusals.items():
        with pytest.raises(InputError, match=f"the {role} is Pretrain {name}, which leaves no key encoder"):
            refused()


def test_any_number_of_workers_that_divides_the_batch_may_share_its_one_split(stage):
    stage.check(Resources(workers=4))
    with pytest.raises(InputError, match="workers is 3: it must divide batch_size = 8"):
        stage.check(Resources(workers=3))


def test_small_views_are_counted_in_the_expected_cost(video):
    stage = Pretrain(frames=(video[0],), backbone=ONE_SPLIT, **SWAV)
    without = replace(stage, augmentation=MoCoAugmentation(size_px=SIZE_PX))
    assert stage.expected_seconds() > 1.5 * without.expected_seconds()
