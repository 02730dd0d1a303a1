from dataclasses import replace

import pytest
import torch

from tests.trainers.tiny import SIZE_PX, assert_same_state, raising, untrained, work, write_recording
from trainers.artifacts.history import read_history
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.ssl.encoders import load_backbone
from trainers.stage import InputError, Progress

LABELS = [0, 1, 2, 1, 0, 2, -1] * 2


class Killed(BaseException):
    """What a test ends a run with."""


@pytest.fixture
def inputs(tmp_path):
    untrained(tmp_path / "encoder")
    _, training = write_recording(tmp_path / "training", LABELS, contrast=0.9)
    _, validation = write_recording(tmp_path / "validation", [2, 0, 1, -1], name="video02", contrast=0.9)
    return {"encoder": tmp_path / "encoder", "videos.0": training, "validation.0": validation}


@pytest.fixture
def stage(inputs, tmp_path):
    encoder = untrained(tmp_path / "again")
    videos = [write_recording(tmp_path / f"unread{index}", [0])[0] for index in range(2)]
    return FineTune(
        encoder=encoder,
        videos=(videos[0],),
        validation=(videos[1],),
        num_phases=3,
        size_px=SIZE_PX,
        sample_every=1,
        epochs=3,
        batch_size=5,
        seed=4,
    )


def run(stage, output, inputs, **options):
    stage.run(work(output, inputs, **options))
    backbone, classifier = load_classifier(stage, output)
    return {"backbone": backbone.state_dict(), "classifier": classifier.state_dict()}, read_history(output)


def full(stage):
    return replace(stage, mode="full", learning_rate=1e-3)


def test_linear_fine_tuning_leaves_the_backbone_untouched_bit_for_bit(stage, inputs, tmp_path):
    weights, history = run(stage, tmp_path / "out", inputs)
    assert_same_state(weights["backbone"], load_backbone(stage.encoder, inputs["encoder"]).state_dict())
    first, *_, last = history["loss"].values()
    assert last < first
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"classifier.pt", "history.parquet"}


def test_full_fine_tuning_moves_every_layer(stage, inputs, tmp_path):
    weights, history = run(full(stage), tmp_path / "out", inputs)
    before = load_backbone(stage.encoder, inputs["encoder"]).state_dict()
    assert [name for name, value in weights["backbone"].items() if torch.equal(value, before[name])] == []
    first, *_, last = history["loss"].values()
    assert last < first


@pytest.mark.parametrize("prepare", [lambda stage: stage, full], ids=["linear", "full"])
def test_a_run_killed_and_resumed_is_the_run_that_was_not(stage, inputs, tmp_path, prepare):
    stage = prepare(stage)
    whole = run(stage, tmp_path / "whole", inputs)

    with pytest.raises(Killed):
        stage.run(work(tmp_path / "killed", inputs, listener=raising(Killed, after=2)))
    weights, history = run(stage, tmp_path / "killed", inputs)
    assert_same_state(weights, whole[0])
    assert history == whole[1]


@pytest.mark.parametrize("prepare", [lambda stage: stage, full], ids=["linear", "full"])
def test_without_validation_videos_the_last_epoch_counts(stage, inputs, tmp_path, prepare):
    stage = prepare(replace(stage, validation=()))
    del inputs["validation.0"]
    weights, history = run(stage, tmp_path / "none", inputs)
    assert "validation_accuracy" not in history
    last = prepare(replace(stage, selection="last"))
    assert_same_state(run(last, tmp_path / "last", inputs)[0], weights)


def test_the_learning_rate_is_halved_at_every_even_epoch(stage):
    rates = [stage.learning_rate_at(epoch) for epoch in range(6)]
    assert rates == [0.01, 0.005, 0.005, 0.0025, 0.0025, 0.00125]


def test_only_labelled_frames_are_seen_each_once_an_epoch(stage, inputs, tmp_path):
    seen = []
    batches = stage._order(12, 0), stage._order(12, 1)
    for order in batches:
        assert sorted(order.tolist()) == list(range(12))
    assert batches[0].tolist() != batches[1].tolist()
    _, history = run(stage, tmp_path / "out", inputs, listener=seen.append)
    assert [each.fraction for each in seen if isinstance(each, Progress)] == pytest.approx([1 / 3, 2 / 3, 1])
    thirds = [accuracy * 3 / 100 for accuracy in history["validation_accuracy"].values()]
    assert thirds == pytest.approx([round(each) for each in thirds])  # three of the four frames are labelled


def test_videos_without_a_label_are_refused(stage, inputs, tmp_path):
    _, unlabelled = write_recording(tmp_path / "unlabelled", [-1] * 4, name="video03")
    with pytest.raises(InputError, match="fine-tuning has no labelled frame"):
        run(stage, tmp_path / "out", inputs | {"videos.0": unlabelled})


def test_the_classifier_starts_as_self_supervised_or_supervised_features_want_it(stage):
    normal, default = stage._new_classifier(), replace(stage, classifier_start="default")._new_classifier()
    assert not normal.bias.any()
    assert 0.005 < normal.weight.std() < 0.015
    assert default.bias.any()
    assert default.weight.std() > 0.05


def test_every_layer_is_trained_at_a_lower_rate_than_the_classifier_alone_unless_told_otherwise(stage):
    names = ("encoder", "videos", "validation")
    given = {name: getattr(stage, name) for name in names}
    assert FineTune(**given).learning_rate_at(0) == 1e-2
    assert FineTune(**given, mode="full").learning_rate_at(0) == 1e-4
    assert FineTune(**given, mode="full", learning_rate=1e-3).learning_rate_at(0) == 1e-3
