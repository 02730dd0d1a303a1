"""Models of timm are found as ResNets are: under any prefix, and in the naming of their authors."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainers.pretrained.layout_files import under
from tests.trainers.tiny import work
from trainers.networks.architectures import backbone_of
from trainers.pretrained.registry import Asked, register
from trainers.ssl.encoders import load_backbone
from trainers.stage import InputError

VIT, CONVNEXT = "timm:test_vit", "timm:test_convnext"
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))

AUTHORS_NAMES = (
    (r"^stem\.", "downsample_layers.0."),
    (r"^stages\.(\d+)\.downsample\.", r"downsample_layers.\1."),
    (r"\.blocks\.", "."),
    (r"conv_dw", "dwconv"),
    (r"mlp\.fc", "pwconv"),
    (r"^head\.norm\.", "norm."),
)
"""From timm's names of a ConvNeXt to those of its authors."""


def tensors_of(architecture: str) -> dict[str, Tensor]:
    """A network's tensors by timm's names."""
    state = backbone_of(architecture).build(5).state_dict()
    return {name.removeprefix("network."): tensor for name, tensor in state.items()}


def authors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for ours, theirs in AUTHORS_NAMES:
        state = {re.sub(ours, theirs, name): tensor for name, tensor in state.items()}
    return state


LAYOUTS = {
    "DINO's ViT": (VIT, lambda: {"teacher": under("backbone.", tensors_of(VIT)), "student": {}}),
    "MAE": (
        VIT,
        lambda: {"model": {**tensors_of(VIT), "decoder_embed.weight": torch.zeros(3), "mask_token": torch.ones(1)}},
    ),
    "timm's ConvNeXt": (CONVNEXT, lambda: under("module.", tensors_of(CONVNEXT))),
    "ConvNeXt of its authors": (CONVNEXT, lambda: {"teacher": under("backbone.", authors(tensors_of(CONVNEXT)))}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_of_timm_gives_the_same_features(tmp_path: Path, layout: str):
    architecture, content = LAYOUTS[layout]
    torch.save(content(), tmp_path / "file.pth")
    asked = Asked(architecture=architecture, kind="self-supervised")
    stage = register(tmp_path / "weights", "free", tmp_path / "file.pth", asked).encoder()
    stage.run(work(tmp_path / "out"))
    features = load_backbone(stage, tmp_path / "out")(IMAGES)
    assert torch.equal(features, backbone_of(architecture).build(5).eval()(IMAGES))


def test_a_network_that_must_be_named_is_described(tmp_path: Path):
    torch.save(tensors_of(VIT), tmp_path / "file.pth")
    with pytest.raises(
        InputError, match=r"file\.pth holds no ResNet .* looks like a vision transformer, such as timm:vit_sm"
    ):
        register(tmp_path / "weights", "free", tmp_path / "file.pth")


def test_another_depth_is_refused(tmp_path: Path):
    state = authors(tensors_of(CONVNEXT))
    torch.save({**state, "stages.2.7.gamma": torch.zeros(1)}, tmp_path / "file.pth")
    with pytest.raises(InputError, match=r"holds stages\.2\.7\.gamma, which timm:test_convnext\S* has not"):
        register(tmp_path / "weights", "free", tmp_path / "file.pth", Asked(architecture=CONVNEXT))
