import torch

from benchmarks import temporal


def test_the_inputs_of_a_step_are_the_same_bits_wherever_sequences_lie():
    videos = temporal.drawn(16, 4)
    device = torch.device("cpu")
    for (rows, labels), kept in zip(videos, temporal.placed(videos, device), strict=True):
        assert torch.equal(temporal.model_input(kept.features, device), torch.from_numpy(rows.T.copy())[None])
        assert kept.labels.tolist() == labels.tolist()
