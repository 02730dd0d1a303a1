from pathlib import Path

import pytest
import torch

from trainers.runtime.machine import UNKNOWN_GPU, gpu_name, num_gpus, this_machine

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


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver of two GPUs, as the command that asks it."""
    command = tmp_path / "nvidia-smi"
    second = 'case "$*" in *--id=1*) echo "NVIDIA H100 80GB HBM3";; *) echo "Tesla T4"; echo "NVIDIA H100";; esac'
    command.write_text(f"#!/bin/sh\n{second}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return command


def test_a_gpu_is_named_as_the_driver_names_the_first_that_is_visible(driver: Path):
    assert gpu_name({}) == "Tesla T4"
    assert gpu_name({"CUDA_VISIBLE_DEVICES": "1,0"}) == "NVIDIA H100 80GB HBM3"
    assert gpu_name({"CUDA_VISIBLE_DEVICES": INSTANCES}) == "Tesla T4"


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\n", None])
def test_a_driver_that_does_not_answer_leaves_it_unknown(driver: Path, script: str | None):
    if script is None:
        driver.unlink()
    else:
        driver.write_text(script)
    assert gpu_name({}) == UNKNOWN_GPU
