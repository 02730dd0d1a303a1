import pytest
import torch

from trainers.runtime.machine import num_gpus, this_machine

INSTANCES = "MIG-6b1c4e0e-5a1f-5d5c-9d9c-2a7e8d0f1b11,MIG-e0d5c7a2-7f3b-5c0e-8f43-0b6f0a9c2d22"


@pytest.mark.parametrize(
    ("visible", "seen", "gpus"),
    [
        (None, 2, 2),
        ("0,1", 2, 2),
        ("GPU-5ebe9f43-ac33-4b91-8f4d-5a0c1c1f0c11,GPU-8932f937", 2, 2),
        (INSTANCES, 1, 2),  # torch sees the first instance alone
        (INSTANCES.replace(",", ", "), 1, 2),
        (INSTANCES, 0, 0),
        ("-1", 0, 0),
        ("", 0, 0),
    ],
)
def test_gpus_count_by_whatever_name_they_are_made_visible(visible, seen, gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    assert num_gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == gpus


def test_every_machine_lends_something():
    machine = this_machine()
    assert machine.cpus >= 1
    assert machine.memory_bytes > 0
