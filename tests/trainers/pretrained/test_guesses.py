"""The architecture of a file is read off the names of its tensors."""

import pytest
import torch
import torchvision.models
from torch import Tensor

from tests.trainers.pretrained.layout_files import LAYOUTS
from trainers.networks.backbones import Backbone
from trainers.pretrained.guesses import family, guessed
from trainers.ssl.encoders import Encoder, random_encoder

RESNETS = {
    "resnet18": "resnet18",
    "resnet34": "timm:resnet34",
    "resnet50": "resnet50",
    "resnet101": "timm:resnet101",
    "resnet152": "timm:resnet152",
}


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_are_known_by_their_blocks(name: str):
    with torch.device("meta"):
        names = torchvision.models.get_model(name).state_dict()
    assert guessed(names) == RESNETS[name]
    assert guessed(f"model.encoder.{each}" for each in names) == RESNETS[name]


def names_in(content: object, prefix: str = "") -> list[str]:
    """The dotted names of the tensors in a mapping of mappings."""
    if isinstance(content, Tensor):
        return [prefix.rstrip(".")]
    items = content.items() if isinstance(content, dict) else ()
    return [name for key, value in items for name in names_in(value, f"{prefix}{key}.")]


@pytest.fixture(scope="module")
def encoders() -> dict[str, Encoder]:
    with torch.device("meta"):
        return {name: random_encoder(Backbone(architecture=name), 128, 0) for name in ("resnet18", "resnet50")}


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_they_are_known_in_every_layout(encoders: dict[str, Encoder], layout: str, architecture: str):
    encoder = encoders[architecture]
    assert guessed(names_in(LAYOUTS[layout][0](encoder, encoder, 512))) == architecture


def test_what_lacks_a_block_is_taken_for_the_nearest():
    with torch.device("meta"):
        names = Backbone(architecture="resnet50").build(0).state_dict()
    assert guessed(name for name in names if not name.startswith("layer4.2.")) == "resnet50"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("teacher.backbone.blocks.0.attn.qkv.weight", "a vision transformer, such as timm:vit_small_patch16_224"),
        ("stages.0.blocks.0.conv_dw.weight", "a ConvNeXt, such as timm:convnext_tiny, or another network of timm"),
        ("features.0.weight", ""),
    ],
)
def test_other_networks_are_described(name: str, what: str):
    assert guessed([name]) is None
    assert family([name]) == what
