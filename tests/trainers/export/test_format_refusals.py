"""Parts that a format cannot hold, and files that do not give what they should."""

from pathlib import Path

import pytest
import torch

from tests.trainers.export.parts import RESNET18
from trainers.export.parts import Part
from trainers.export.torch_files import TorchvisionFormat
from trainers.export.writing import check_holds, write_part
from trainers.ssl.transfer import Combined
from trainers.stage import InputError, MachineError

pytestmark = pytest.mark.xdist_group("export")


@pytest.mark.parametrize(
    ("of", "name", "why"),
    [
        ("resnet10 student", "torchvision", "resnet10 is a small network of freelunch's own, which torchvision"),
        ("resnet10 student", "timm", "--format takes safetensors, moco or onnx for it"),
        ("resnet10 classifier", "timm", "--format takes safetensors or onnx for it"),
        ("narrow student", "torchvision", "a resnet18 of width 4: torchvision has resnet18 of width 64 alone; "),
        ("narrow classifier", "timm", "--format takes safetensors or onnx for it"),
        ("resnet18 pipeline", "torchvision", "torchvision's networks have no temporal model"),
        ("resnet18 pipeline", "timm", "timm's networks have no temporal model"),
        ("resnet18 classifier", "moco", "MoCo's checkpoints hold an encoder without a classifier"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_the_formats_that_can(
    made: dict[str, Part], tmp_path: Path, of: str, name: str, why: str
):
    with pytest.raises(InputError, match=why):
        write_part(made[of], name, tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_two_networks_together_are_refused_by_formats_of_one(made: dict[str, Part]):
    two = Combined(teacher=RESNET18, student=RESNET18, combination="sum")
    part = Part(name="student", extractor=two, network=two.build(0), image=made["resnet18 student"].image, encoders={})
    for name in ("torchvision", "timm", "moco"):
        with pytest.raises(InputError, match=r"those of two networks, teacher and student.*safetensors or onnx"):
            check_holds(part, name)


def test_a_head_that_is_not_mocos_is_refused_in_mocos_format(made: dict[str, Part]):
    part = made["resnet18 student"]
    encoders = {"query": {**part.encoders["query"], "head.norm.weight": torch.ones(1)}}
    other = Part(name="student", extractor=part.extractor, network=part.network, image=part.image, encoders=encoders)
    with pytest.raises(InputError, match="its projection head is not that of MoCo v2; --format takes torchvision, "):
        check_holds(other, "moco")


def test_a_file_that_gives_other_features_is_refused(
    made: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(TorchvisionFormat, "read_back", lambda self, part, folder, images: part.features(images) + 1)
    with pytest.raises(MachineError, match=r"read back, differ from the student by .* nothing was exported"):
        write_part(made["resnet18 student"], "torchvision", tmp_path, {})
