"""Architecture of a checkpoint, where the names of its tensors show it."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from trainers.networks.backbones import Backbone
from trainers.pretrained.prefixes import CHILDREN, plain_names, usual_first

IN_TRANSFORMERS = ("embedder.embedder.convolution", "embedder.embedder.normalization")
PARTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (tuple(CHILDREN), "0.conv1.weight"),
    (tuple(CHILDREN.values()), "0.conv1.weight"),
    ((*IN_TRANSFORMERS, *(f"encoder.stages.{stage}.layers" for stage in range(4))), "0.layer.0.convolution.weight"),
)
"""Stem, its normalisation and the four stages of a ResNet in a naming, and the first tensor in a stage."""
RESNETS: Mapping[tuple[str, tuple[int, ...]], str] = {
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("basic", (1, 1, 1, 1)): "resnet10",
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "timm:resnet34",
    ("bottleneck", (3, 4, 23, 3)): "timm:resnet101",
    ("bottleneck", (3, 8, 36, 3)): "timm:resnet152",
}
"""Architectures by the kind of their blocks and the number of blocks of each stage."""
NARROW, RGB = ("resnet10", "resnet18"), 3
NEAREST = {"bottleneck": "resnet50", "basic": "resnet18"}

FAMILIES = {
    "attn.qkv.weight": "a vision transformer, such as timm:vit_small_patch16_224",
    "attn.proj.weight": "a transformer, such as timm:vit_small_patch16_224",
    "attention.attention.query.weight": "a vision transformer in the naming of transformers",
    "conv_dw.weight": "a ConvNeXt, such as timm:convnext_tiny, or another network of timm",
    "dwconv.weight": "a ConvNeXt, such as timm:convnext_tiny",
    "conv_pw.weight": "an EfficientNet, such as timm:efficientnet_b0",
    "downsample.reduction.weight": "a Swin transformer, such as timm:swin_tiny_patch4_window7_224",
}
"""Ends of tensors' names, and the networks that have them."""


def guessed(tensors: Iterable[str]) -> str | None:
    """The ResNet that a file's names are those of, or of which they are most; None where they are of no ResNet."""
    names = sorted(plain_names(tensors))
    for (stem, norm, *layers), first in PARTS:
        anchor = f"{layers[0]}.{first}"
        prefixes = [name.removesuffix(anchor) for name in names if name == anchor or name.endswith(f".{anchor}")]
        whole = [
            prefix for prefix in prefixes if f"{prefix}{stem}.weight" in names and f"{prefix}{norm}.weight" in names
        ]
        if whole:
            return _resnet(names, min(whole, key=usual_first), layers, first)
    return None


def stem_width(tensors: Mapping[str, Tensor], architecture: str) -> int:
    """Channels of the first stage of a file's networks: those of their stems, of architectures that may be narrow."""
    if architecture not in NARROW:
        return Backbone.width
    stems = {len(each) for each in tensors.values() if each.dim() == 4 and each.shape[1] == RGB}
    return stems.pop() if len(stems) == 1 else Backbone.width


def family(tensors: Iterable[str]) -> str:
    """The network that a file without a ResNet seems to hold, in words; empty where nothing tells."""
    names = list(tensors)
    return next((what for end, what in FAMILIES.items() if any(name.endswith(end) for name in names)), "")


def _resnet(names: list[str], prefix: str, layers: list[str], first: str) -> str:
    blocks = tuple(_num_blocks(names, f"{prefix}{layer}.") for layer in layers)
    third = first.replace("conv1", "conv3").replace("layer.0", "layer.2")
    kind = "bottleneck" if f"{prefix}{layers[0]}.{third}" in names else "basic"
    return RESNETS.get((kind, blocks), NEAREST[kind])


def _num_blocks(names: list[str], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)})
