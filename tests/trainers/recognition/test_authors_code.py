from dataclasses import replace

import pytest
import torch
from torch import nn

from study.core.graph import key
from tests.trainers.tiny import PHASES, SIZE_PX, assert_same_state, untrained, work, write_recording
from trainers.networks.features import normalise
from trainers.recognition.authors_code import AuthorsFineTune, AuthorsStart, AuthorsTrainTemporal, UnnormalisedNetwork
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.temporal import TemporalNetwork, TrainTemporal
from trainers.ssl.encoders import load_backbone, read_weights, write_weights
from trainers.ssl.pairs import MomentumPair, frozen_pair

USUAL = {"normalised_input": True, "new_optimiser_every_epoch": False}


@pytest.fixture
def inputs(tmp_path):
    untrained(tmp_path / "encoder")
    _, training = write_recording(tmp_path / "training", [0, 1, 2] * 5, contrast=0.9)
    return {"encoder": tmp_path / "encoder", "videos.0": training}


def stage(cls, tmp_path, **fields):
    video, _ = write_recording(tmp_path / f"unread {cls.__name__} {len(list(tmp_path.iterdir()))}", [0])
    encoder = untrained(tmp_path / f"again {len(list(tmp_path.iterdir()))}")
    sizes = {"num_phases": len(PHASES), "size_px": SIZE_PX, "sample_every": 1, "epochs": 3, "batch_size": 5}
    return cls(encoder=encoder, videos=(video,), **sizes, **fields)


def trained(stage, output, inputs):
    stage.run(work(output, inputs))
    backbone, classifier = load_classifier(stage, output)
    return backbone, {"backbone": backbone.state_dict(), "classifier": classifier.state_dict()}


@pytest.mark.parametrize("mode", ["linear", "full"])
def test_without_its_habits_it_is_the_usual_fine_tuning(tmp_path, inputs, mode):
    _, usual = trained(stage(FineTune, tmp_path, mode=mode), tmp_path / "usual", inputs)
    _, same = trained(stage(AuthorsFineTune, tmp_path, mode=mode, **USUAL), tmp_path / "same", inputs)
    assert_same_state(same, usual)


@pytest.mark.parametrize("habit", ["normalised_input", "new_optimiser_every_epoch"])
def test_each_habit_alone_changes_what_is_learnt_and_the_key(tmp_path, inputs, habit):
    usual = stage(AuthorsFineTune, tmp_path, **USUAL)
    other = replace(usual, **{habit: not USUAL[habit]})
    _, before = trained(usual, tmp_path / "usual", inputs)
    _, after = trained(other, tmp_path / "other", inputs)
    assert not torch.equal(after["classifier"]["weight"], before["classifier"]["weight"])
    assert key(other) != key(usual)


def test_unnormalised_frames_reach_the_network_from_0_to_1():
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    seen = UnnormalisedNetwork(nn.Identity())(normalise(images))
    torch.testing.assert_close(seen, images / 255)


def test_features_are_extracted_from_unnormalised_frames_too(tmp_path, inputs):
    model = stage(AuthorsFineTune, tmp_path)
    backbone, _ = trained(model, tmp_path / "out", inputs)
    plain = load_backbone(model.encoder, inputs["encoder"])
    images = torch.randn(2, 3, SIZE_PX, SIZE_PX)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), UnnormalisedNetwork(plain)(images))
        assert not torch.allclose(backbone(images), plain(images))


@pytest.mark.parametrize("habit", ["new_optimiser_every_epoch", "dropout_in_first_epoch_only"])
def test_the_temporal_models_habits_are_separate_and_part_of_the_key(tmp_path, habit):
    features = ExtractFeatures(model=stage(FineTune, tmp_path), videos=())
    usual = AuthorsTrainTemporal(
        training=features,
        network=TemporalNetwork(num_stages=1),
        new_optimiser_every_epoch=False,
        dropout_in_first_epoch_only=False,
    )
    assert key(replace(usual, **{habit: True})) != key(usual)
    assert key(usual) != key(TrainTemporal(training=features, network=TemporalNetwork(num_stages=1)))


def started(tmp_path, **fields):
    """The weights of a start, and those it was made from, whose running statistics are not those of a fresh network."""
    encoder = untrained(tmp_path / "public")
    pair = frozen_pair(encoder, tmp_path / "public")
    pair.query.backbone.bn1.running_mean.fill_(3.0)
    pair.key.backbone.bn1.running_mean.fill_(3.0)
    write_weights(tmp_path / "public", pair)
    start = AuthorsStart(encoder=encoder, **fields)
    start.run(work(tmp_path / "start", {"encoder": tmp_path / "public"}))
    assert isinstance(frozen_pair(start, tmp_path / "start"), MomentumPair)
    return read_weights(tmp_path / "start"), read_weights(tmp_path / "public")


def test_the_authors_start_has_public_parameters_fresh_statistics_and_two_heads(tmp_path):
    weights, public = started(tmp_path)
    for role in ("query", "key"):
        assert torch.equal(weights[role]["backbone.conv1.weight"], public[role]["backbone.conv1.weight"])
        assert weights[role]["backbone.bn1.running_mean"].abs().max() == 0
        assert weights[role]["backbone.bn1.running_var"].unique().tolist() == [1.0]
        assert weights[role]["head.hidden.weight"].std() == pytest.approx(0.01, rel=0.2)
        assert weights[role]["head.hidden.bias"].abs().max() == 0
    assert not torch.equal(weights["query"]["head.hidden.weight"], weights["key"]["head.hidden.weight"])


def test_each_part_of_the_start_may_be_the_public_one(tmp_path):
    weights, public = started(tmp_path, running_statistics=True, heads_apart=False)
    assert_same_state(weights["query"], public["query"])
    assert_same_state(weights["key"], public["key"])
