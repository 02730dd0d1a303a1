"""Models of timm: what their weights expect, how they are made, and what a forward pass shows of them.

timm takes a second to import, so that every function here imports it when it is called. Nothing is downloaded.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainers.names import alike
from trainers.stage import InputError

PREFIX = "timm:"

TRAINABLE = ("resnet", "convnext", "regnet", "efficientnet")
"""timm's modules with the convolutional networks that the recipes of ResNets can train."""
REFUSED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of a model of timm that is asked for what it cannot do."""


@dataclass(frozen=True)
class Expected:
    """Input that the weights of a model expect, as timm's data config has it.

    Attributes:
        size_px: side of the image.
        mean: of each colour.
        std: likewise.
        interpolation: of resizing.
        fixed: whether the network is made for a size, as vision transformers are.
        licence: of the weights, in timm's note; empty where it has none.
        classifiers: names of the layers that are left out of a network, such as `head.fc`.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    fixed: bool
    licence: str
    classifiers: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """How a network is made of a model.

    Attributes:
        model: timm's name, without a tag.
        input_px: side of its images; None where it takes any.
        weights_px: side of the images that its weights were trained on, where that decides their shapes and is another.
    """

    model: str
    input_px: int | None = None
    weights_px: int | None = None


@dataclass(frozen=True)
class Seen:
    """What a forward pass shows.

    Attributes:
        num_features: length of the pooled features.
        gflops: multiply-adds, in units of 10⁹.
        cell_px: pixels, along each side, per cell of the last feature maps, where the features are made of their mean.
    """

    num_features: int
    gflops: float
    cell_px: int | None


@cache
def expected(name: str) -> Expected:
    """What the weights of a model expect.

    Args:
        name: timm's name of the model; `.TAG` names the weights, the usual ones where it is left out.

    Raises:
        InputError: timm has no such model, or no weights of that tag, or they take no square RGB images.
    """
    import timm

    model = name.partition(".")[0]
    if not timm.is_model(model):
        raise InputError(f"timm has no model {model!r}: {_nearest(model, timm.list_models())}")
    try:
        known = timm.get_pretrained_cfg(name)
    except RuntimeError:
        raise InputError(f"timm knows no weights {name!r}: {_tags(model)}.") from None
    given = known.to_dict() if known else {"input_size": (3, 224, 224)}
    config = timm.data.resolve_data_config(pretrained_cfg=given)
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise InputError(
            f"{PREFIX}{name} takes {channels}×{height}×{width} inputs: choose a model for square RGB images."
        )
    return Expected(
        size_px=height,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        fixed=bool(given.get("fixed_input_size")),
        licence=str(given.get("license") or ""),
        classifiers=_texts(given.get("classifier")),
    )


def timm_name(text: str) -> str:
    """The name that timm has for a model, in a text such as `timm/NAME.TAG` or `TIMM:NAME`; empty where it has none."""
    import timm

    name = re.split("[/:]", text)[-1].lower()
    return name if timm.is_model(name.partition("@")[0].partition(".")[0]) else ""


def created(made: Made) -> nn.Module:
    """A network with timm's own initialisation and without a classifier.

    Raises:
        InputError: the model cannot be made for images of this size.
    """
    import timm

    arguments: dict[str, object] = {}
    if made.input_px is not None and expected(made.model).fixed:
        arguments["img_size"] = made.weights_px or made.input_px
        if made.weights_px is not None:
            arguments["dynamic_img_size"] = True  # the position embedding keeps its shape: it is resized in every pass
    try:
        return cast(nn.Module, timm.create_model(made.model, pretrained=False, num_classes=0, **arguments))
    except REFUSED as error:
        if made.weights_px is not None and isinstance(error, TypeError):
            raise InputError(
                f"{PREFIX}{made.model} takes images of {made.weights_px} pixels alone: leave out @{made.input_px}, or "
                "take another model."
            ) from None
        raise InputError(
            f"{PREFIX}{made.model} cannot be made for images of {made.input_px} pixels ({_first_line(error)}): take "
            "the size of its weights, or another model."
        ) from None


def renamed(made: Made, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """A file's names by timm's, where it has those of the model's authors, which timm converts.

    Tensors that timm changes otherwise than by name are left out.
    """
    with torch.device("meta"):
        network = created(made)
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return {}
    try:
        converted = convert(dict(tensors), network)
    except REFUSED:
        return {}
    names = {tensor.data_ptr(): name for name, tensor in tensors.items()}
    return {ours: names[each.data_ptr()] for ours, each in converted.items() if each.data_ptr() in names}


@cache
def seen(made: Made, size_px: int) -> Seen:
    """What a forward pass of an image of a size shows, without computing it.

    Raises:
        InputError: the model gives no pooled features, or cannot see images of this size.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network: Any = created(made).eval().requires_grad_(False)  # the counter follows gradients, where there are any
        image = torch.empty(1, 3, size_px, size_px)
    _check_patches(made.model, network, size_px)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            features = network(image)
    except REFUSED as error:
        raise InputError(
            f"{PREFIX}{made.model} cannot see images of {size_px} pixels ({_first_line(error)}): choose another size, "
            f"as in {PREFIX}{made.model}@224."
        ) from None
    if not isinstance(features, Tensor) or features.dim() != 2:
        raise InputError(f"{PREFIX}{made.model} gives no pooled features, N×C: choose a model that does.")
    gflops = counter.get_total_flops() / 2e9  # a multiply-add counts two
    return Seen(features.shape[1], gflops, _cell_px(network, image, features))


@cache
def fault_of_training(model: str) -> str:
    """Why self-supervision as for ResNets cannot train a model; empty where it can."""
    with torch.device("meta"):
        return _fault_of(created(Made(model)))


def splits(norm: nn.Module) -> bool:
    """Whether a batch normalisation can be made to split the batch."""
    from timm.layers import BatchNormAct2d

    return type(norm) in (nn.BatchNorm2d, BatchNormAct2d)


def _check_patches(model: str, network: nn.Module, size_px: int) -> None:
    """Refuses images whose last rows and columns would be in no patch."""
    from timm.layers import PatchEmbed

    sides = (int(each.patch_size[0]) for each in network.modules() if isinstance(each, PatchEmbed))
    patch_px = next(sides, 1)
    if size_px % patch_px:
        fitting = patch_px * max(1, round(size_px / patch_px))
        raise InputError(
            f"{PREFIX}{model} cannot see images of {size_px} pixels: its patches have {patch_px}; choose a multiple, "
            f"such as {PREFIX}{model}@{fitting}."
        )


def _cell_px(network: Any, image: Tensor, features: Tensor) -> int | None:
    if _fault_of(network):
        return None
    with torch.no_grad():
        maps = network.forward_features(image)
    same = maps.dim() == 4 and maps.shape[1] == features.shape[1]
    return -(-image.shape[-1] // maps.shape[-1]) if same else None


def _fault_of(network: nn.Module) -> str:
    if type(network).__module__.rpartition(".")[2] not in TRAINABLE:
        return f"{type(network).__name__} is no ResNet, ConvNeXt, RegNet or EfficientNet"
    norms = (each for each in network.modules() if isinstance(each, _BatchNorm) and not splits(each))
    other = next(norms, None)
    return "" if other is None else f"its {type(other).__name__} cannot normalise parts of a batch"


def _texts(value: object) -> tuple[str, ...]:
    """A text, or several, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(map(str, value)) if isinstance(value, tuple | list) else ()


def _nearest(model: str, known: list[str]) -> str:
    near = alike(model, known, most=3)
    return f"did you mean {' or '.join(PREFIX + each for each in near)}?" if near else "timm.list_models() names them."


def _tags(model: str) -> str:
    from timm.models import get_arch_pretrained_cfgs

    return "it knows " + ", ".join(sorted(get_arch_pretrained_cfgs(model)))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
