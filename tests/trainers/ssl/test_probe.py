import math

import pytest
import torch
from torch import nn

from tests.trainers.tiny import SIZE_PX, write_recording
from trainers.data.frames import Frames
from trainers.networks.features import features_of
from trainers.ssl import probe as probe_module
from trainers.ssl.probe import KnnProbe, Prober, knn_predict
from trainers.stage import InputError

CPU = torch.device("cpu")


class MeanColour(nn.Module):
    """A backbone whose features anyone can compute."""

    def forward(self, images):
        return images.mean((2, 3))


def brute_force(bank, labels, query, neighbours, temperature, num_classes):
    cosines = [float(query @ row / (query.norm() * row.norm())) for row in bank]
    nearest = sorted(range(len(bank)), key=lambda i: -cosines[i])[:neighbours]
    votes = [sum(math.exp(cosines[i] / temperature) for i in nearest if labels[i] == c) for c in range(num_classes)]
    return votes.index(max(votes))


@pytest.mark.parametrize(("neighbours", "temperature"), [(1, 0.07), (5, 0.07), (5, 1.0), (100, 0.5)])
def test_predictions_are_the_weighted_vote_of_the_nearest_neighbours(neighbours, temperature, monkeypatch):
    monkeypatch.setattr(probe_module, "QUERY_BATCH", 7)
    generator = torch.Generator().manual_seed(0)
    bank, queries = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (40, 25))
    labels = torch.randint(0, 3, (40,), generator=generator)
    predicted = knn_predict(
        bank, labels, queries, neighbours=neighbours, temperature=temperature, num_classes=3
    ).tolist()
    assert predicted == [brute_force(bank, labels, query, neighbours, temperature, 3) for query in queries]


def test_one_near_neighbour_outweighs_two_far_ones_at_a_low_temperature_alone():
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    labels, query = torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.2]])
    sharp, flat = (
        knn_predict(bank, labels, query, neighbours=3, temperature=temperature, num_classes=2).item()
        for temperature in (0.07, 10.0)
    )
    assert (sharp, flat) == (0, 1)


def prober(training, validation, **fields):
    config = KnnProbe(training=(), validation=(), neighbours=3, sample_every=1, **fields)
    folders = [[folder for _, folder in videos] for videos in (training, validation)]
    return Prober(config, *folders, size_px=SIZE_PX, device=CPU, threads=1)


def test_accuracy_is_the_mean_over_videos_of_labelled_frames(tmp_path):
    training = [write_recording(tmp_path / "train", [0, 1, 2] * 4)]
    right = write_recording(tmp_path / "right", [0, 1, 2, -1], name="right")
    half = write_recording(tmp_path / "half", [0, 1] * 20, name="half")
    with prober(training, [right]) as opened:
        assert opened.accuracy(MeanColour()) == 100
    with prober([write_recording(tmp_path / "zeros", [0] * 5, name="zeros")], [right, half]) as opened:
        assert opened.accuracy(MeanColour()) == pytest.approx((100 / 3 + 50) / 2)


def test_videos_without_a_label_are_refused(tmp_path):
    labelled = [write_recording(tmp_path / "labelled", [0, 1, 2])]
    unlabelled = [write_recording(tmp_path / "unlabelled", [-1, -1], name="video02")]
    for sides in ((labelled, unlabelled), (unlabelled, labelled)):
        with pytest.raises(InputError, match="the probe needs labelled frames"):
            prober(*sides)


def test_features_are_those_of_every_frame_in_order_in_eval_mode(tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.networks.features.FEATURE_BATCH", 4)
    _, folder = write_recording(tmp_path / "video", [0, 1, 2] * 3)
    backbone = nn.Sequential(MeanColour(), nn.Dropout(0.9)).train()
    with Frames([folder]) as frames:
        features = features_of(backbone, frames, SIZE_PX, CPU, threads=1)
    assert features.shape == (9, 3)
    assert features.argmax(1).tolist() == [0, 1, 2] * 3
    assert not backbone.training
    assert not features.is_inference()
