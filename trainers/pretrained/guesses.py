"""Architecture of a checkpoint, where the names of its tensors show it."""

from collections.abc import Iterable, Mapping

from trainers.pretrained.prefixes import CHILDREN, plain_names, usual_first

FIRST, LAST = "layer1", "layer4"
RESNETS: Mapping[tuple[str, tuple[int, ...]], str] = {
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "timm:resnet34",
    ("bottleneck", (3, 4, 23, 3)): "timm:resnet101",
    ("bottleneck", (3, 8, 36, 3)): "timm:resnet152",
}
"""Architectures by the kind of their blocks and the number of blocks of each stage."""
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
    stages = [tuple(CHILDREN), tuple(CHILDREN.values())]
    for stem, norm, *layers in stages:
        anchor = f"{layers[0]}.0.conv1.weight"
        prefixes = [name.removesuffix(anchor) for name in names if name == anchor or name.endswith(f".{anchor}")]
        whole = [
            prefix for prefix in prefixes if f"{prefix}{stem}.weight" in names and f"{prefix}{norm}.weight" in names
        ]
        if whole:
            return _resnet(names, min(whole, key=usual_first), layers)
    return None


def family(tensors: Iterable[str]) -> str:
    """The network that a file without a ResNet seems to hold, in words; empty where nothing tells."""
    names = list(tensors)
    return next((what for end, what in FAMILIES.items() if any(name.endswith(end) for name in names)), "")


def _resnet(names: list[str], prefix: str, layers: list[str]) -> str:
    blocks = tuple(_num_blocks(names, f"{prefix}{layer}.") for layer in layers)
    kind = "bottleneck" if f"{prefix}{layers[0]}.0.conv3.weight" in names else "basic"
    return RESNETS.get((kind, blocks), NEAREST[kind])


def _num_blocks(names: list[str], prefix: str) -> int:
    return len({name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)})
