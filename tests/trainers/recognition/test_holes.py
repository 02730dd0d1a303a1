"""Holes of the annotation from the frame store to the metrics: seen, predicted, and neither learnt from nor scored."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.tiny import PHASES, SIZE_PX, untrained, work, write_recording
from trainers.artifacts.history import read_history
from trainers.artifacts.predictions import read_predictions, write_predictions
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.authors_code import AuthorsTrainTemporal
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.multi_stage_tcn import TemporalNetwork
from trainers.recognition.sequences import read_sequences
from trainers.recognition.temporal import PredictPhases, TrainTemporal

LABELS = [-1, 0, 0, 0, -1, -1, 1, 1, 2, -1, 2, 2]
KNOWN = [index for index, label in enumerate(LABELS) if label >= 0]


@pytest.fixture
def features(tmp_path):
    """The features of a recording with holes, whose classifier was fine-tuned on it, and where they lie."""
    encoder = untrained(tmp_path / "encoder")
    video, store = write_recording(tmp_path / "video", LABELS)
    model = FineTune(encoder=encoder, videos=(video,), num_phases=3, size_px=SIZE_PX, sample_every=1, epochs=2)
    model.run(work(tmp_path / "model", {"encoder": tmp_path / "encoder", "videos.0": store}))
    stage = ExtractFeatures(model=model, videos=(video,), sample_every=1)
    stage.run(work(tmp_path / "features", {"model": tmp_path / "model", "videos.0": store}))
    return stage, tmp_path / "features"


@pytest.mark.parametrize(
    "fields", [{"cls": TrainTemporal}, {"cls": AuthorsTrainTemporal}, {"cls": AuthorsTrainTemporal, "over": "videos"}]
)
def test_the_temporal_model_sees_a_hole_is_not_scored_there_and_predicts_it(features, tmp_path, fields):
    stage, folder = features
    assert read_sequences(stage, folder)[0].labels.tolist() == LABELS
    authors = {"accuracy_over": fields["over"]} if "over" in fields else {}
    network = TemporalNetwork(num_stages=1, num_layers=2, num_maps=4)
    training = fields["cls"](
        training=stage, validation=stage, network=network, num_phases=3, epochs=2, selection="last", **authors
    )
    training.run(work(tmp_path / "temporal", {"training": folder, "validation": folder}))
    predicting = PredictPhases(model=training, features=stage)
    predicting.run(work(tmp_path / "predictions", {"model": tmp_path / "temporal", "features": folder}))
    (video,) = read_predictions(tmp_path / "predictions")
    assert video.truth.tolist() == LABELS
    assert set(video.prediction.tolist()) <= {0, 1, 2}
    right = np.mean(video.prediction[KNOWN] == np.array(LABELS)[KNOWN])
    assert read_history(tmp_path / "temporal")["validation_accuracy"][2] == pytest.approx(100 * right)
    evaluation = Evaluate(predictions=predicting, fps=1, phases=PHASES)
    for prediction_in_holes in (0, 2):
        changed = np.where(video.truth >= 0, video.prediction, prediction_in_holes).astype(np.int8)
        write_predictions(tmp_path / "predictions", [replace(video, prediction=changed)])
        evaluation.run(work(tmp_path / "scores", {"predictions": tmp_path / "predictions"}))
        summary = json.loads((tmp_path / "scores" / "summary.json").read_text())
        assert summary["num_frames"] == len(KNOWN)
        assert summary["strict"]["accuracy"]["mean"] == pytest.approx(100 * right)


def test_what_a_hole_shows_reaches_the_predictions_after_it(features, tmp_path):
    stage, folder = features
    network = TemporalNetwork(num_stages=1, num_layers=2, num_maps=4)
    sequence = read_sequences(stage, folder)[0]
    model = network.build(sequence.features.shape[1], 3, seed=0).eval()

    def after_the_hole(values):
        return model(torch.from_numpy(values.T.copy())[None])[-1, 0, :, 6]

    other = sequence.features.copy()
    other[4] += 1
    assert not torch.equal(after_the_hole(sequence.features), after_the_hole(other))
