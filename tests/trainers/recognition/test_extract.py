import numpy as np
import pytest
import torch

from tests.trainers.tiny import SIZE_PX, untrained, work, write_recording
from trainers.data.frames import Frames
from trainers.data.loading import plain_batches
from trainers.networks.features import network_input
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.recognition.sequences import Sequence, read_sequence, read_sequences, write_sequence
from trainers.stage import InputError


def test_a_sequence_comes_back_as_it_was(tmp_path):
    generator = np.random.default_rng(0)
    sequence = Sequence(
        video="video07",
        frames=np.arange(0, 35, 5, dtype=np.int32),
        labels=np.array([0, 0, 1, 1, 2, 2, 2], np.int8),
        framewise=np.array([0, 1, 1, 1, 2, 0, 2], np.int8),
        features=generator.normal(size=(7, 4)).astype(np.float32),
    )
    write_sequence(tmp_path, sequence)
    loaded = read_sequence(tmp_path, "video07")
    for name in ("frames", "labels", "framewise", "features"):
        assert np.array_equal(getattr(loaded, name), getattr(sequence, name))
        assert getattr(loaded, name).dtype == getattr(sequence, name).dtype


@pytest.fixture
def fine_tuned(tmp_path):
    encoder = untrained(tmp_path / "encoder")
    video, folder = write_recording(tmp_path / "training", [0, 1, 2] * 3)
    stage = FineTune(encoder=encoder, videos=(video,), num_phases=3, size_px=SIZE_PX, sample_every=1, epochs=1)
    stage.run(work(tmp_path / "model", {"encoder": tmp_path / "encoder", "videos.0": folder}))
    return stage, tmp_path / "model"


def test_features_and_phases_are_the_fine_tuned_networks(fine_tuned, tmp_path):
    model, folder = fine_tuned
    recordings = [
        write_recording(tmp_path / name, labels, name=name)
        for name, labels in (("video02", [0, -1, 1, 2, 2, 0]), ("video01", [2, 2, -1, 1]))
    ]
    stage = ExtractFeatures(model=model, videos=tuple(video for video, _ in recordings), sample_every=2)
    inputs = {"model": folder} | {f"videos.{index}": store for index, (_, store) in enumerate(recordings)}
    stage.run(work(tmp_path / "out", inputs))
    first, second = read_sequences(stage, tmp_path / "out")
    assert (first.video, first.frames.tolist(), first.labels.tolist()) == ("video02", [0, 2, 4], [0, 1, 2])
    assert (second.video, second.frames.tolist(), second.labels.tolist()) == ("video01", [0, 2], [2, -1])
    backbone, classifier = load_classifier(model, folder)
    with Frames([recordings[0][1]]) as frames, torch.inference_mode():
        (images,) = plain_batches(frames, SIZE_PX, batch_size=6, threads=1)
        features = backbone(network_input(images, torch.device("cpu")))[::2]
        phases = classifier(features).argmax(1)
    assert first.features == pytest.approx(features.numpy(), abs=1e-5)
    assert first.framewise.tolist() == phases.tolist()


def test_a_video_without_a_label_is_refused_by_name(fine_tuned, tmp_path):
    model, folder = fine_tuned
    video, store = write_recording(tmp_path / "unlabelled", [-1, -1], name="video09")
    with pytest.raises(InputError, match="video09 has no labelled frame"):
        ExtractFeatures(model=model, videos=(video,)).run(work(tmp_path / "out", {"model": folder, "videos.0": store}))
