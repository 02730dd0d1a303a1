"""Free models of the package: written, found by their network, and read as registered weights are."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from study.core.graph import key
from trainers.networks.architectures import backbone_of
from trainers.networks.backbones import Backbone
from trainers.pretrained import public_weights
from trainers.pretrained.file_metadata import Shipped
from trainers.pretrained.shipped import facts_of, shipped_with, write_shipped
from trainers.ssl.encoders import load_backbone, random_encoder, read_weights
from trainers.stage import InputError, Work

SMALL = Backbone(architecture="resnet10", width=4)
FACTS = Shipped(
    scale="demo",
    kind="self-supervised",
    method="MoCo v2",
    architecture="resnet10",
    width=4,
    size_px=48,
    num_images=65536,
    epochs=20,
    images="DrawnImages, revision 1",
    core_seconds=5400,
    gpu_seconds=90,
    device="NVIDIA H200",
    date="2026-11-26",
)


def encoder_tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    return random_encoder(SMALL, 128, seed).state_dict()


def test_a_file_says_what_it_is(tmp_path: Path):
    write_shipped(tmp_path / "demo.safetensors", encoder_tensors(), FACTS)
    assert facts_of(tmp_path / "demo.safetensors") == FACTS
    assert FACTS.title == (
        "free model of the demo scale: MoCo v2, 65,536 drawn images, 20 epochs, 1.5 core-hours and 1.5 minutes of one "
        "NVIDIA H200"
    )
    assert replace(FACTS, gpu_seconds=0).title.endswith("20 epochs, 1.5 core-hours")
    assert "65,536 drawn images, 1 epoch, " in replace(FACTS, epochs=1).title


def test_a_file_is_found_by_its_network_alone(tmp_path: Path):
    write_shipped(tmp_path / "demo.safetensors", encoder_tensors(), FACTS)
    (weights,) = shipped_with(SMALL, tmp_path)
    assert (weights.name, weights.kind, weights.licence) == ("demo", "self-supervised", "Apache-2.0")
    assert weights.encoder().backbone == SMALL
    assert shipped_with(replace(SMALL, batch_norm_splits=4), tmp_path) == (weights,)
    for other in (replace(SMALL, width=8), Backbone(architecture="resnet18"), backbone_of("timm:test_vit@96")):
        assert shipped_with(other, tmp_path) == ()
    assert shipped_with(SMALL, tmp_path / "nothing") == ()


@pytest.mark.parametrize("kind", ["self-supervised", "supervised"])
def test_a_file_gives_back_the_network_and_the_trained_head(tmp_path: Path, kind: public_weights.Layout):
    tensors = encoder_tensors(seed=3)
    write_shipped(tmp_path / "demo.safetensors", tensors, replace(FACTS, kind=kind))
    (weights,) = shipped_with(SMALL, tmp_path)
    stage = weights.encoder()
    stage.run(Work(output=tmp_path))
    found = read_weights(tmp_path)["query"]
    for name, tensor in tensors.items():
        same = torch.allclose(found[name].float(), tensor.float(), rtol=1e-3, atol=1e-6)
        assert same == (weights.has_head or not name.startswith("head.")), name
    images = torch.rand(2, 3, 48, 48)
    ours = random_encoder(SMALL, 128, 3).backbone.eval()
    torch.testing.assert_close(load_backbone(stage, tmp_path)(images), ours(images), rtol=0.01, atol=0.01)


def test_the_content_is_the_key_and_the_path_is_not(tmp_path: Path):
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        write_shipped(tmp_path / name / f"{name}.safetensors", encoder_tensors(seed), FACTS)
    one, same, other = (key(shipped_with(SMALL, tmp_path / name)[0].encoder()) for name in ("one", "same", "other"))
    assert one == same != other


def test_where_the_package_lies_elsewhere_on_a_machine_its_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    there, here = tmp_path / "there" / "shipped", tmp_path / "here" / "shipped"
    there.mkdir(parents=True)
    write_shipped(there / "demo.safetensors", encoder_tensors(), FACTS)
    (weights,) = shipped_with(SMALL, there)
    shutil.move(tmp_path / "there", tmp_path / "here")
    monkeypatch.setattr(public_weights, "SHIPPED", here)
    (tmp_path / "out").mkdir()
    weights.encoder().run(Work(output=tmp_path / "out"))
    write_shipped(here / "demo.safetensors", encoder_tensors(1), FACTS)
    with pytest.raises(InputError, match=r"demo\.safetensors is not the file that was registered"):
        weights.encoder().run(Work(output=tmp_path / "out"))
