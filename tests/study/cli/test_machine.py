"""The machine that a plan is made for, with GPUs of any kind and without."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from study.cli import machine
from study.cli.machine import planned_machine
from study.cli.resources import ComputeTarget
from study.core.devices import CPU
from study.core.schedule import Room
from study.execution.ray import connection, nodes
from trainers.data.synthetic.generic_images import GenericImages
from trainers.networks.backbones import Backbone
from trainers.pretrained.supervised import CROP_AND_FLIP, TrainClassifier
from trainers.stage import Stage

IMAGES = GenericImages(num_images=1000, size_px=64, seed=0)
TRAINING: Stage = TrainClassifier(
    frames=(IMAGES,),
    backbone=Backbone(architecture="resnet50"),
    augmentation=CROP_AND_FLIP,
    epochs=1,
    batch_size=4,
    seed=0,
)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "num_gpus", lambda: 2)
    monkeypatch.setattr(machine, "available_cpus", lambda: 16)
    monkeypatch.setattr(machine, "gpu_name", lambda: "NVIDIA A100-SXM4-80GB")


@pytest.mark.usefixtures("two_gpus")
def test_the_gpus_that_are_here_are_found_in_the_table():
    here = planned_machine(ComputeTarget())
    assert (here.title, here.room, here.is_here) == ("2 × NVIDIA A100-SXM4-80GB", Room(cpus=16, gpus=2), True)
    assert here.device is not None
    assert here.device.name == "a100"
    assert (here.gpus_of(TRAINING), here.gpus_of(IMAGES)) == (1, 0)
    assert here.seconds(TRAINING) == here.fewest_seconds(TRAINING)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_the_table_does_not_hold_gets_a_range(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "gpu_name", lambda: "GPU of an unknown kind")
    here = planned_machine(ComputeTarget())
    assert here.device is None
    assert here.fewest_seconds(TRAINING) < here.seconds(TRAINING)
    assert here.fewest_seconds(IMAGES) == here.seconds(IMAGES)


@pytest.mark.usefixtures("two_gpus")
def test_gpus_that_are_left_alone_do_not_count():
    here = planned_machine(ComputeTarget(gpus_per_worker=0))
    assert (here.title, here.gpus, here.device and here.device.name) == ("16 CPU cores", 0, CPU)
    assert here.gpus_of(TRAINING) == 0


def test_a_device_of_the_table_stands_for_another_machine():
    there = planned_machine(ComputeTarget(workers=4), "h100")
    assert (there.title, there.gpus, there.is_here) == ("4 × h100", 4, False)
    assert there.gpus_of(TRAINING) == 1  # it trains on one worker


@contextmanager
def joined(address: str) -> Iterator[str]:
    yield address


def test_a_cluster_is_planned_for_as_ray_describes_its_nodes(monkeypatch: pytest.MonkeyPatch):
    gpus = {"CPU": 32.0, "GPU": 4.0, "accelerator_type:H100": 1.0}
    alive = [{"CPU": 8.0}, gpus, gpus]
    described = {"Alive": True, "NodeID": "", "NodeManagerHostname": "", "NodeManagerAddress": ""}
    monkeypatch.setattr(connection, "connect", joined)
    monkeypatch.setattr(nodes.ray, "nodes", lambda: [{**described, "Resources": each} for each in alive])
    there = planned_machine(ComputeTarget(address="10.0.0.1:6379"))
    assert (there.title, there.room) == ("8 × H100 of 10.0.0.1:6379", Room(cpus=72, gpus=8))
    assert there.device is not None
    assert there.device.name == "h100"
    without = planned_machine(ComputeTarget(address="10.0.0.1:6379", gpus_per_worker=0))
    assert (without.title, without.gpus) == ("72 CPU cores of 10.0.0.1:6379", 0)
