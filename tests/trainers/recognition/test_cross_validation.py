"""Cross-validation of the temporal model: which videos a fold learns from, and what the mean over folds is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.recognition.test_encode import NETWORK, VIDEOS, numbered, run, stored
from tests.trainers.tiny import assert_same_state
from trainers.artifacts.history import read_history, write_history
from trainers.recognition.cross_validation import CrossValidate, TrainFold, dealt
from trainers.recognition.sequences import read_sequence
from trainers.recognition.temporal import TrainTemporal, load_temporal, phase_logits
from trainers.stage import InputError

__all__ = ["stored"]
GIVEN = {"network": NETWORK, "num_phases": 3, "epochs": 2}


@pytest.fixture
def sides(stored, tmp_path):
    """Features of two training videos and a validation video, and their folders."""
    stage, encoder, folders = stored
    training, validation = replace(stage, videos=VIDEOS[:2]), replace(stage, videos=VIDEOS[2:])
    given = {
        "training": run(training, tmp_path / "training", encoder | numbered(folders[:2])),
        "validation": run(validation, tmp_path / "validation", encoder | numbered(folders[2:])),
    }
    return training, validation, given


def test_a_fold_learns_from_all_videos_of_both_sides_but_its_own(sides, stored, tmp_path):
    training, validation, given = sides
    stage, encoder, folders = stored
    held_out, *others = VIDEOS
    fold = TrainFold(training=training, validation=validation, held_out=(held_out,), **GIVEN)
    assert fold.videos == tuple(others)
    trained = run(fold, tmp_path / "fold", given)
    whole = replace(stage, videos=tuple(others))
    apart = TrainTemporal(training=whole, selection="last", **GIVEN)
    features = run(whole, tmp_path / "whole", encoder | numbered(folders[1:]))
    alone = run(apart, tmp_path / "apart", {"training": features})
    assert_same_state(torch.load(trained / "temporal.pt"), torch.load(alone / "temporal.pt"))
    assert fold.expected_seconds() == apart.expected_seconds()


def test_the_accuracy_of_a_fold_is_that_of_its_videos_after_the_last_epoch(sides, tmp_path):
    training, validation, given = sides
    fold = TrainFold(training=training, validation=validation, held_out=(VIDEOS[0],), **GIVEN)
    trained = run(fold, tmp_path / "fold", given)
    sequence = read_sequence(given["training"], VIDEOS[0].name)
    model = load_temporal(fold, trained, sequence.features.shape[1])
    found = phase_logits(model, sequence, torch.device("cpu")).argmax(0).numpy()
    known = sequence.labels >= 0
    curve = read_history(trained)["validation_accuracy"]
    assert curve[2] == pytest.approx(100 * np.mean(found[known] == sequence.labels[known]))


def test_no_epoch_is_chosen_by_videos_that_are_held_out(sides):
    training, validation, _ = sides
    given = {"training": training, "validation": validation, **GIVEN}
    assert TrainFold(**given, held_out=VIDEOS[:1]).selection == "last"
    with pytest.raises(InputError, match="held out choose no epoch"):
        TrainFold(**given, held_out=VIDEOS[:1], selection="validation")
    with pytest.raises(InputError, match="names every video"):
        TrainFold(**given, held_out=VIDEOS)
    with pytest.raises(InputError, match="have no features: video03"):
        TrainFold(training=training, held_out=VIDEOS[2:], **GIVEN)
    with pytest.raises(InputError, match="none is named"):
        TrainFold(**given, held_out=())


def test_every_video_counts_once_in_the_mean_over_folds(sides, tmp_path):
    training, validation, _ = sides
    folds = [
        TrainFold(training=training, validation=validation, held_out=videos, **GIVEN)
        for videos in (VIDEOS[:2], VIDEOS[2:])
    ]
    for fold, accuracies in zip(("a", "b"), ((50.0, 60.0), (80.0, 90.0)), strict=True):
        (tmp_path / fold).mkdir()
        records = [{"epoch": e, "loss": 1.0, "validation_accuracy": a} for e, a in enumerate(accuracies, 1)]
        write_history(tmp_path / fold, records)
    mean = CrossValidate(folds=tuple(folds))
    output = run(mean, tmp_path / "mean", numbered([tmp_path / "a", tmp_path / "b"], "folds"))
    assert read_history(output)["validation_accuracy"] == pytest.approx({1: 60.0, 2: 70.0})
    assert mean.num_videos == 3


def test_videos_are_dealt_so_that_every_fold_has_some_of_the_first_and_of_the_last():
    folds = dealt(VIDEOS, 2)
    assert folds == ((VIDEOS[0], VIDEOS[2]), (VIDEOS[1],))
    assert dealt(VIDEOS, 5) == tuple((video,) for video in VIDEOS)
