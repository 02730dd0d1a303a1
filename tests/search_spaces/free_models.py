"""Public weights that exist in name alone, for tests of what recipes make of them."""

from dataclasses import replace

from search_spaces.protocol.conditions import Conditions
from tests.search_spaces.fake_dataset import conditions
from trainers.pretrained.registry import RegisteredWeights

MOCO = RegisteredWeights(
    name="moco",
    file="/nowhere/moco.pth.tar",
    digest="1" * 64,
    layout="moco",
    architecture="resnet50",
    embedding_size=128,
    title="MoCo v2, 800 epochs on ImageNet",
    stamp=(1, 2),
    kind="self-supervised",
    licence="CC BY-NC 4.0",
)
SUPERVISED = replace(MOCO, name="supervised", digest="2" * 64, layout="torchvision", kind="supervised", licence="")
CONVNEXT = replace(MOCO, name="convnext", digest="3" * 64, layout="other", architecture="timm:convnext_atto")


def given(*weights: RegisteredWeights, scale: str = "full") -> Conditions:
    return replace(conditions(scale), weights=weights)
