import pytest
import torch

from trainers.networks.features import network_input, normalise
from trainers.runtime.devices import prepare
from trainers.stage import MachineError, Resources

CPU = torch.device("cpu")


@pytest.mark.parametrize(("granted", "used"), [(2, 2), (0, 1)])
def test_a_stage_computes_in_the_threads_it_was_granted(granted, used):
    assert prepare(Resources(threads=granted)) == CPU
    assert torch.get_num_threads() == used


def test_a_granted_gpu_that_is_not_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match="a GPU was granted, but torch sees none here"):
        prepare(Resources(gpus=1))


def test_images_reach_a_network_normalised_and_channels_last():
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    ready = network_input(images, CPU)
    assert torch.equal(ready, normalise(images))
    assert ready.is_contiguous(memory_format=torch.channels_last)
