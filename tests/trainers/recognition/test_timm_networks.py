"""A student of timm, taught by a vision transformer, from its first step to the features that later stages read."""

from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import (
    BATCH,
    CONVNEXT,
    EMBEDDING,
    SIZE_PX,
    TIMM_RESNET,
    VIT,
    assert_same_state,
    untrained,
    work,
    write_recording,
)
from trainers.artifacts.history import read_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.sequences import read_sequence
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.probe import KnnProbe
from trainers.ssl.regioncl import RegionCL
from trainers.ssl.untrained import Untrained
from trainers.stage import InputError

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}
OPTIMISATION = Optimisation(epochs=1, batch_size=BATCH, learning_rate=0.05)


@pytest.fixture
def recording(tmp_path):
    return write_recording(tmp_path / "video01", [0, 1, 2, 1] * 4, contrast=0.9)


def trained(stage, output, inputs):
    stage.run(work(output, inputs))
    return stage, output


def pretrained(recording, folder, method, inputs, **fields):
    video, frames = recording
    stage = Pretrain(
        frames=(video,),
        method=method,
        augmentation=MoCoAugmentation(size_px=SIZE_PX),
        **{"optimisation": OPTIMISATION, **fields},
    )
    return trained(stage, folder, {"frames.0": frames, **inputs})


def test_a_teacher_adapts_its_head_a_student_learns_from_it_and_its_features_are_read(recording, tmp_path):
    video, frames = recording
    start = untrained(tmp_path / "start", backbone=VIT)
    teacher, taught = pretrained(
        recording,
        tmp_path / "teacher",
        MoCo(**SIZES, start=start, trains="head"),
        {"method.start": tmp_path / "start"},
        backbone=VIT,
    )
    assert_same_state(
        load_backbone(teacher, taught).state_dict(), load_backbone(start, tmp_path / "start").state_dict()
    )
    student, encoders = pretrained(
        recording,
        tmp_path / "student",
        DistilledMoCo(**SIZES, teacher=teacher),
        {"method.teacher": taught, "probe.training.0": frames, "probe.validation.0": frames},
        backbone=CONVNEXT,
        optimisation=replace(OPTIMISATION, precision="bf16"),
        probe=KnnProbe(training=(video,), validation=(video,), sample_every=1, neighbours=1),
    )
    assert read_history(encoders)["knn_accuracy"] == {1: 100.0}
    assert any(name.startswith("backbone.network.stages") for name in read_weights(encoders)["query"])
    for mode in ("linear", "full"):
        classifier = FineTune(
            encoder=student, videos=(video,), num_phases=3, size_px=SIZE_PX, sample_every=1, epochs=1, mode=mode
        )
        trained(classifier, tmp_path / mode, {"encoder": encoders, "videos.0": frames})
        backbone, _ = load_classifier(classifier, tmp_path / mode)
        features = ExtractFeatures(model=classifier, videos=(video,), sample_every=1)
        trained(features, tmp_path / f"features-{mode}", {"model": tmp_path / mode, "videos.0": frames})
        sequence = read_sequence(tmp_path / f"features-{mode}", video.name)
        assert sequence.features.shape == (16, CONVNEXT.num_features)
        before = load_backbone(student, encoders).state_dict()
        moved = [name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])]
        assert bool(moved) == (mode == "full")


VIT_START = Untrained(backbone=VIT, embedding_size=EMBEDDING)
CONVNEXT_START = Untrained(backbone=replace(CONVNEXT, input_px=SIZE_PX), embedding_size=EMBEDDING)
PLAIN = {"method": MoCo(**SIZES), "backbone": CONVNEXT, "augmentation": MoCoAugmentation(size_px=SIZE_PX)}
RESIZED = replace(CONVNEXT, input_px=SIZE_PX)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        (
            {"backbone": VIT},
            "timm:test_vit cannot be trained by these methods: VisionTransformer is no ResNet, ConvNeXt",
        ),
        ({"method": MoCo(**SIZES, start=VIT_START, trains="all"), "backbone": VIT}, "timm:test_vit cannot be trained"),
        ({"method": MoCo(**SIZES, start=VIT_START)}, "timm:test_vit cannot be trained by these methods"),
        (
            {"method": MoCo(**SIZES, start=CONVNEXT_START), "backbone": TIMM_RESNET},
            "Set architecture=timm:test_convnext\\.$",
        ),
        ({"augmentation": MoCoAugmentation(size_px=8)}, "timm:test_convnext cannot see images of 8 pixels"),
        ({"method": RegionCL(**SIZES), "backbone": RESIZED}, "timm:test_convnext@32 has no such maps; take a ResNet"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_computed(recording, fields, match):
    Pretrain(frames=(recording[0],), optimisation=OPTIMISATION, **PLAIN)
    with pytest.raises(InputError, match=match):
        Pretrain(frames=(recording[0],), optimisation=OPTIMISATION, **{**PLAIN, **fields})


def test_frames_too_small_for_a_network_are_refused_in_fine_tuning_too(recording):
    with pytest.raises(InputError, match="timm:test_convnext cannot see images of 8 pixels"):
        FineTune(encoder=Untrained(backbone=CONVNEXT), videos=(recording[0],), size_px=8)
