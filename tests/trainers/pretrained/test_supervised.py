from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainers.tiny import BACKBONE, SIZE_PX, assert_same_state, raising, work, write_recording
from trainers.artifacts.history import read_history
from trainers.data.frames import Frames
from trainers.data.loading import ViewLoader
from trainers.data.synthetic.generic_images import GenericImages
from trainers.data.synthetic.generic_patterns import CLASSES
from trainers.networks.architectures import backbone_of
from trainers.pretrained.supervised import CROP_AND_FLIP, CosineClassifier, TrainClassifier, _examples
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.ssl.pairs import SharedBackbonePair, frozen_pair
from trainers.stage import InputError

LABELS = [0, 1, 2] * 16
AUGMENTATION = replace(CROP_AND_FLIP, size_px=SIZE_PX, min_scale=0.5)


@pytest.fixture
def images(tmp_path: Path) -> tuple[TrainClassifier, Path]:
    recording, folder = write_recording(tmp_path / "images", LABELS)
    stage = TrainClassifier(
        frames=(recording,),
        backbone=BACKBONE,
        augmentation=AUGMENTATION,
        epochs=8,
        batch_size=8,
        learning_rate=1e-2,
        embedding_size=6,
    )
    return stage, folder


def run(stage: TrainClassifier, folder: Path, output: Path) -> Path:
    stage.run(work(output, {"frames.0": folder}))
    return output


def test_a_backbone_learns_to_tell_classes_apart_and_is_published_with_an_untrained_head(tmp_path, images):
    stage, folder = images
    output = run(stage, folder, tmp_path / "out")
    losses = list(read_history(output)["loss"].values())
    assert len(losses) == 8
    assert losses[-1] < 0.5 * losses[0]
    pair = frozen_pair(stage, output)
    assert isinstance(pair, SharedBackbonePair)
    weights = read_weights(output)
    assert_same_state(weights["query"], weights["key"])
    started = stage.backbone.build(stage.seed).state_dict()
    trained = load_backbone(stage, output).state_dict()
    assert not torch.equal(trained["conv1.weight"], started["conv1.weight"])


def test_a_vision_transformer_learns_to_tell_classes_apart_in_an_input_size_of_its_own(tmp_path, images):
    stage, folder = images
    stage = replace(stage, backbone=backbone_of("timm:test_vit@64"), epochs=4, learning_rate=1e-3)
    losses = list(read_history(run(stage, folder, tmp_path / "out"))["loss"].values())
    assert losses[-1] < 0.5 * losses[0]


class Killed(BaseException):
    """What a test ends a run with."""


def test_an_interrupted_run_ends_with_the_bits_of_one_that_was_not(tmp_path, images):
    stage, folder = images
    whole = run(stage, folder, tmp_path / "whole")

    with pytest.raises(Killed):
        stage.run(work(tmp_path / "parts", {"frames.0": folder}, listener=raising(Killed, after=3)))
    parts = run(stage, folder, tmp_path / "parts")
    assert_same_state(read_weights(parts), read_weights(whole))
    assert sorted(path.name for path in parts.iterdir()) == sorted(path.name for path in whole.iterdir())


def test_both_views_of_an_image_have_its_class(tmp_path):
    stage = GenericImages(num_images=24, size_px=32)
    stage.run(work(tmp_path / "generic"))
    with Frames([tmp_path / "generic"], labelled_only=True) as frames:
        assert frames.label_names == CLASSES
        loader = ViewLoader(frames, AUGMENTATION, batch_size=8, seed=0, threads=1)
        classes = torch.from_numpy(frames.labels).long()
        batches = list(_examples(loader, classes, 0, torch.device("cpu")))
        for rows, (views, labels) in zip(loader.order(0), batches, strict=True):
            assert views.shape == (16, 3, SIZE_PX, SIZE_PX)
            assert labels.tolist() == [*frames.labels[rows], *frames.labels[rows]]


def test_consecutive_images_are_a_class_where_they_are_asked_to_be(tmp_path, images):
    stage, folder = images
    stage = replace(stage, images_per_class=6)
    with Frames([folder], labelled_only=True) as frames:
        classes, num_classes = stage._classes(frames)
        assert num_classes == 8
        assert classes.tolist() == [row // 6 for row in range(48)]
    losses = list(read_history(run(replace(stage, epochs=1), folder, tmp_path / "out"))["loss"].values())
    assert losses[0] > 1.5  # no colour is that of one class, and three classes would begin with log 3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_classifier_by_cosines_learns_too_and_leaves_weights_of_the_same_form(tmp_path, images, precision):
    stage, folder = images
    by_cosines = replace(stage, temperature=0.1, precision=precision)
    output = run(by_cosines, folder, tmp_path / "cosines")
    losses = list(read_history(output)["loss"].values())
    assert losses[-1] < 0.5 * losses[0]
    linear = run(replace(stage, epochs=1), folder, tmp_path / "linear")
    assert read_weights(output)["query"].keys() == read_weights(linear)["query"].keys()


def test_logits_by_cosines_do_not_depend_on_the_lengths_of_embeddings_or_vectors():
    classifier = CosineClassifier(embedding_size=5, num_classes=3, temperature=0.1)
    embeddings = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    logits = classifier(embeddings)
    assert logits.abs().max() <= 10 + 1e-4
    torch.testing.assert_close(classifier(3 * embeddings), logits)
    with torch.no_grad():
        classifier.vectors *= 2
    torch.testing.assert_close(classifier(embeddings), logits)
    torch.testing.assert_close(classifier(classifier.vectors.detach()).diagonal(), torch.full((3,), 10.0))


def test_images_without_classes_are_refused(tmp_path, images):
    stage, _ = images
    _, unlabelled = write_recording(tmp_path / "unlabelled", [-1] * 16, name="video02")
    with pytest.raises(InputError, match="no labelled image"):
        run(stage, unlabelled, tmp_path / "out")
