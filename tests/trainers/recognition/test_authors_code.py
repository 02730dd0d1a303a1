import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from study.core.graph import key
from tests.trainers.tiny import PHASES, SIZE_PX, Recording, assert_same_state, untrained, work, write_recording
from trainers.artifacts.evaluation import PROTOCOLS, SUMMARY_NAME
from trainers.artifacts.predictions import VideoPredictions, read_predictions, write_predictions
from trainers.data.ingest.annotated_rows import AnnotatedRows, read_annotated_rows
from trainers.data.ingest.video import Video
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.features import normalise
from trainers.recognition.authors_code import (
    AuthorsEvaluate,
    AuthorsFineTune,
    AuthorsPredictPhases,
    AuthorsStart,
    AuthorsTrainTemporal,
    UnnormalisedNetwork,
    as_long_as_annotated,
)
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.multi_stage_tcn import TemporalNetwork
from trainers.recognition.sequences import Sequence, write_sequence
from trainers.recognition.temporal import PredictPhases, TrainTemporal
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


@pytest.mark.parametrize(
    ("habit", "value"),
    [("new_optimiser_every_epoch", True), ("dropout_in_first_epoch_only", True), ("accuracy_over", "frames")],
)
def test_the_temporal_models_habits_are_separate_and_part_of_the_key(tmp_path, habit, value):
    features = ExtractFeatures(model=stage(FineTune, tmp_path), videos=())
    usual = AuthorsTrainTemporal(
        training=features,
        network=TemporalNetwork(num_stages=1),
        new_optimiser_every_epoch=False,
        dropout_in_first_epoch_only=False,
        accuracy_over="videos",
    )
    assert key(replace(usual, **{habit: value})) != key(usual)
    assert key(usual) != key(TrainTemporal(training=features, network=TemporalNetwork(num_stages=1)))


def test_the_temporal_models_epoch_is_chosen_by_the_accuracy_over_all_frames(tmp_path):
    features = ExtractFeatures(model=stage(FineTune, tmp_path), videos=())
    short, long = np.zeros(2, int), np.zeros(8, int)
    videos = [(short, np.array([0, 1])), (long, long)]  # 50 and 100 % right
    assert AuthorsTrainTemporal(training=features).validation_accuracy(videos) == 90
    for usual in (TrainTemporal(training=features), AuthorsTrainTemporal(training=features, accuracy_over="videos")):
        assert usual.validation_accuracy(videos) == 75


def predictions(num_rows):
    """Of a video whose phase changes with every row, sampled at every fifth frame; framewise, all is phase 0."""
    phases = (np.arange(num_rows) % 3).astype(np.int8)
    frames = np.arange(num_rows, dtype=np.int32) * 5
    return VideoPredictions(
        video="video01", frames=frames, truth=phases, prediction=phases, framewise=np.zeros_like(phases)
    )


def annotated(folder, num_rows):
    """A recording with an annotation of so many frames, and its rows at every fifth as the stage leaves them."""
    folder.mkdir()
    rows = "".join(f"{index}\t{PHASES[index // 5 % 3]}\n" for index in range(num_rows))
    (folder / "video01.txt").write_text(f"Frame\tPhase\n{rows}")
    video = Video(
        name="video01",
        video_digest="0",
        annotation_digest="1",
        phases=PHASES,
        video_path=folder / "video01.mp4",
        annotation_path=folder / "video01.txt",
    )
    stage = AnnotatedRows(videos=(video,), sample_every=5)
    stage.run(work(folder / "rows"))
    return read_annotated_rows(folder / "rows")["video01"]


def test_predictions_shorter_than_the_annotation_go_on_with_the_last_one(tmp_path):
    truth = annotated(tmp_path / "annotated", 53)
    fitted = as_long_as_annotated(predictions(8), truth, 5)
    assert fitted.truth.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]
    assert fitted.prediction.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 1, 1, 1]
    assert fitted.framewise.tolist() == [0] * 11
    assert fitted.frames.tolist() == list(range(0, 53, 5))


def test_predictions_longer_than_the_annotation_are_cut(tmp_path):
    fitted = as_long_as_annotated(predictions(8), annotated(tmp_path / "annotated", 26), 5)
    assert fitted.prediction.tolist() == fitted.truth.tolist() == [0, 1, 2, 0, 1, 2]
    assert fitted.frames.tolist() == [0, 5, 10, 15, 20, 25]


def test_the_stage_of_predictions_writes_as_many_rows_as_are_annotated(tmp_path):
    features = ExtractFeatures(model=stage(FineTune, tmp_path), videos=(Recording(),))
    temporal = AuthorsTrainTemporal(training=features, network=TemporalNetwork(num_layers=2), num_phases=3, epochs=1)
    folder = tmp_path / "features"
    folder.mkdir()
    known = predictions(8)
    values = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    write_sequence(folder, Sequence("video01", known.frames, known.truth, known.framewise, values))
    temporal.run(work(tmp_path / "model", {"training": folder}))
    annotated(tmp_path / "annotated", 53)
    inputs = {"model": tmp_path / "model", "features": folder, "annotations": tmp_path / "annotated" / "rows"}
    padded = AuthorsPredictPhases(model=temporal, features=features, annotations=AnnotatedRows(videos=()))
    usual = PredictPhases(model=temporal, features=features)
    for predicting in (padded, usual):
        predicting.run(work(tmp_path / predicting.kind, inputs))
    (theirs,), (ours,) = (read_predictions(tmp_path / predicting.kind) for predicting in (padded, usual))
    assert (len(theirs.frames), len(ours.frames)) == (11, 8)
    assert theirs.prediction[:8].tolist() == ours.prediction.tolist()
    assert set(theirs.prediction[8:].tolist()) == {int(ours.prediction[-1])}


@pytest.mark.parametrize(("habit", "std"), [(True, 0.0), (False, None)])
def test_the_spread_of_a_single_video_is_0_there_and_undefined_here(tmp_path, habit, std):
    folder = tmp_path / "predictions"
    folder.mkdir()
    write_predictions(folder, [predictions(9)])
    fields = {"predictions": ExtractFeatures(model=stage(FineTune, tmp_path), videos=()), "fps": 5, "phases": PHASES}
    theirs, usual = AuthorsEvaluate(**fields, zero_std_of_one=habit), Evaluate(**fields)
    for each, expected in ((theirs, std), (usual, None)):
        each.run(work(tmp_path / each.kind, {"predictions": folder}))
        summary = json.loads((tmp_path / each.kind / SUMMARY_NAME).read_text())
        assert {summary[name]["accuracy"]["std"] for name in PROTOCOLS} == {expected}
        assert summary["strict"]["jaccard"]["std"] == 0, "over three phases"


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
