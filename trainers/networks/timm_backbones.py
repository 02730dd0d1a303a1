"""Backbones by timm: any of its models that gives pooled features, in the input size and normalisation it expects.

timm takes a second to import, so that every function here imports it when it is called.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from trainers.fields import BatchSize, Pixels, Probability, Share
from trainers.networks.backbones import FeatureExtractor, FeatureMaps, RunningStatistics, SplitBatchNorm2d
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD
from trainers.runtime import randomness
from trainers.stage import InputError

PREFIX = "timm:"
NETWORK = "network."
"""Before timm's names of tensors, in the state of a `TimmNetwork`."""

Interpolation = Literal["bicubic", "bilinear"]
Mean = tuple[Probability, Probability, Probability]
Deviation = tuple[Share, Share, Share]

TRAINABLE = ("resnet", "convnext", "regnet", "efficientnet")
"""timm's modules with the convolutional networks that the recipes of ResNets can train."""
REFUSED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of a model of timm that is asked for what it cannot do."""


@dataclass(frozen=True, kw_only=True)
class TimmBackbone(FeatureExtractor):
    """A model of timm up to its pooled features.

    Views are those of every other network, normalised by ImageNet's mean and standard deviation: the network itself
    resizes them and normalises them as its weights expect. `architectures.backbone_of` reads what that is from timm.

    Attributes:
        model: timm's name, without the tag of its weights.
        input_px: side that images are resized to; None takes them as they come.
        mean: of each colour, of the images that it expects.
        std: likewise.
        interpolation: of resizing.
        batch_norm_splits: as for `Backbone`, where the model has batch normalisation.
        running_statistics: as for `Backbone`.
    """

    model: str
    input_px: Pixels | None = None
    mean: Mean = IMAGENET_MEAN
    std: Deviation = IMAGENET_STD
    interpolation: Interpolation = "bicubic"
    batch_norm_splits: BatchSize = 1
    running_statistics: RunningStatistics = "mean"

    @property
    def architecture(self) -> str:
        """The name that `architectures.backbone_of` reads."""
        return f"{PREFIX}{self.model}" + (f"@{self.input_px}" if self.input_px else "")

    @property
    def described(self) -> str:
        """The network in words, without how it normalises a batch."""
        return self.architecture

    @property
    def num_features(self) -> int:
        return _seen(self.model, self.input_px, self.input_px or 224).num_features

    @property
    def gflops_at_224(self) -> float:
        return self.gflops_at(224)

    def gflops_at(self, size_px: int) -> float:
        return _seen(self.model, self.input_px, self.input_px or size_px).gflops

    @property
    def cell_px(self) -> int | None:
        """Pixels of an image, along each side, per cell of the feature maps whose mean the features are.

        None where the features are something else, or where images are resized.
        """
        return None if self.input_px else _seen(self.model, None, 224).cell_px

    def without_splits(self) -> Self:
        return replace(self, batch_norm_splits=1)

    def normalised_in(self, splits: int, running_statistics: RunningStatistics) -> Self:
        """The same network that normalises a batch in these parts."""
        return replace(self, batch_norm_splits=splits, running_statistics=running_statistics)

    def takes_weights_of(self, other: FeatureExtractor) -> bool:
        """Whether the weights of another network are those of this one."""
        if not isinstance(other, TimmBackbone):
            return False
        return (other.model, other.mean, other.std) == (self.model, self.mean, self.std)

    def check_trainable(self) -> None:
        """Refuses a network that self-supervision cannot train.

        Raises:
            InputError: the model is of a kind that needs another recipe.
        """
        fault = _fault_of_training(self.model)
        if fault:
            raise InputError(
                f"{PREFIX}{self.model} cannot be trained by these methods: {fault}. It can teach; as a student, take "
                "a ResNet or a ConvNeXt, such as timm:resnet50 or timm:convnext_tiny."
            )

    def check_size(self, size_px: int) -> None:
        """Refuses images of a size that the network cannot see.

        Raises:
            InputError: they are too small.
        """
        _seen(self.model, self.input_px, self.input_px or size_px)

    def build(self, seed: int) -> "TimmNetwork":
        with randomness.torch_seeded(seed, "backbone"):
            network = _created(self.model, self.input_px)
        _split_norms(network, self)
        return TimmNetwork(network, self)


class TimmNetwork(FeatureMaps):
    """A model of timm for images as our other networks take them: N×3×H×W, ImageNet's mean and standard deviation."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, config: TimmBackbone) -> None:
        super().__init__()
        self.network = network
        self.input_px = config.input_px
        self.interpolation = config.interpolation
        self.renormalises = (config.mean, config.std) != (IMAGENET_MEAN, IMAGENET_STD)
        theirs, ours = ((torch.tensor(each.mean), torch.tensor(each.std)) for each in (config, _IMAGENET))
        self.register_buffer("scale", (ours[1] / theirs[1]).view(3, 1, 1), persistent=False)
        self.register_buffer("shift", ((ours[0] - theirs[0]) / theirs[1]).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(self.fitted(images))
        return features

    def feature_maps(self, images: Tensor) -> Tensor:
        return cast(Tensor, cast(Any, self.network).forward_features(self.fitted(images)))

    def from_means(self, means: Tensor) -> Tensor:
        return cast(Tensor, cast(Any, self.network).forward_head(means[:, :, None, None], pre_logits=True))

    def zero_last_norms(self) -> None:
        """As of torchvision's ResNets; blocks of a ConvNeXt start as nearly the identity by their layer scale."""
        from timm.models import _efficientnet_blocks, regnet, resnet

        for module in self.modules():
            if isinstance(module, resnet.BasicBlock | resnet.Bottleneck | regnet.Bottleneck):
                module.zero_init_last()
            elif isinstance(module, _efficientnet_blocks.InvertedResidual) and module.has_skip:
                nn.init.zeros_(module.bn3.weight)

    def fitted(self, images: Tensor) -> Tensor:
        """The images in the size and the normalisation of the model."""
        if self.input_px and images.shape[-2:] != (self.input_px, self.input_px):
            size = (self.input_px, self.input_px)
            images = F.interpolate(images, size, mode=self.interpolation, antialias=True)
        return images * self.scale + self.shift if self.renormalises else images


_IMAGENET = TimmBackbone(model="")


class SplitBatchNormAct2d(SplitBatchNorm2d):
    """timm's normalisation with the activation behind it, over the splits of a batch."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.drop(super().forward(x)))
        return y


def timm_backbone(name: str, *, resizes: bool = True) -> TimmBackbone:
    """The backbone of a model of timm.

    Args:
        name: timm's name; `.TAG` names the weights whose input size, mean and standard deviation it expects, the usual
            ones where it is left out; `@PIXELS` gives another input size.
        resizes: whether images are resized to the input size of the weights; where not, and no size is named, a network
            that takes images of any size takes them as they come.

    Raises:
        InputError: timm has no such model, or it gives no pooled features, or takes no square RGB images of that size.
    """
    named, _, pixels = name.partition("@")
    config = _data_config(named)
    size = config["input_size"]
    if len(size) != 3 or size[0] != 3 or size[1] != size[2]:
        raise InputError(
            f"{PREFIX}{named} takes {'×'.join(map(str, size))} inputs: choose a model for square RGB images."
        )
    if pixels and (not pixels.isdecimal() or int(pixels) < 1):
        raise InputError(f"{PREFIX}{name} ends with @{pixels}: give the side of its input in pixels, such as @224.")
    backbone = TimmBackbone(
        model=named.partition(".")[0],
        input_px=int(pixels) if pixels else size[1] if resizes or config["fixed_input_size"] else None,
        mean=config["mean"],
        std=config["std"],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
    )
    backbone.check_size(224)
    return backbone


def licence_note(name: str) -> str:
    """Licence, in a note of timm, of a model's weights, by a name with or without tag; empty where it has none."""
    return str(_data_config(name.partition("@")[0])["license"] or "")


@dataclass(frozen=True)
class _Seen:
    """What a forward pass of a model shows."""

    num_features: int
    gflops: float
    cell_px: int | None


@cache
def _seen(model: str, input_px: int | None, size_px: int) -> _Seen:
    """What a forward pass of an image of a size shows, without computing it.

    Raises:
        InputError: the model gives no pooled features, or cannot see images of this size.
    """
    with torch.device("meta"):
        network: Any = _created(model, input_px).eval()
        image = torch.empty(1, 3, size_px, size_px)
    patch_px = _patch_px(network)
    if size_px % patch_px:
        fitting = patch_px * max(1, round(size_px / patch_px))
        raise InputError(
            f"{PREFIX}{model} cannot see images of {size_px} pixels: its patches have {patch_px}; choose a multiple, "
            f"such as {PREFIX}{model}@{fitting}."
        )
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            features = network(image)
    except REFUSED as error:
        raise InputError(
            f"{PREFIX}{model} cannot see images of {size_px} pixels ({_first_line(error)}): choose another size, as in "
            f"{PREFIX}{model}@224."
        ) from None
    if not isinstance(features, Tensor) or features.dim() != 2:
        raise InputError(f"{PREFIX}{model} gives no pooled features, N×C: choose a model that does.")
    gflops = counter.get_total_flops() / 2e9  # a multiply-add counts two
    return _Seen(features.shape[1], gflops, _cell_px(network, image, features))


def _patch_px(network: nn.Module) -> int:
    """Side of the patches that a model cuts images into; 1 where it cuts none."""
    from timm.layers import PatchEmbed

    sides = (int(each.patch_size[0]) for each in network.modules() if isinstance(each, PatchEmbed))
    return next(sides, 1)


def _cell_px(network: Any, image: Tensor, features: Tensor) -> int | None:
    if _fault_of_network(network):
        return None
    with torch.no_grad():
        maps = network.forward_features(image)
    same = maps.dim() == 4 and maps.shape[1] == features.shape[1]
    return -(-image.shape[-1] // maps.shape[-1]) if same else None


@cache
def _fault_of_training(model: str) -> str:
    with torch.device("meta"):
        return _fault_of_network(_created(model, None))


def _fault_of_network(network: nn.Module) -> str:
    """Why self-supervision as for ResNets cannot train a model; empty where it can."""
    family = type(network).__module__.rpartition(".")[2]
    if family not in TRAINABLE:
        return f"{type(network).__name__} needs a recipe of its own"
    norms = (each for each in network.modules() if isinstance(each, _BatchNorm) and not _splittable(each))
    other = next(norms, None)
    return "" if other is None else f"its {type(other).__name__} cannot normalise parts of a batch"


def _created(model: str, input_px: int | None) -> nn.Module:
    """A model with timm's own initialisation and without a classifier; nothing is downloaded."""
    import timm

    fixed = input_px is not None and _data_config(model)["fixed_input_size"]
    arguments = {"img_size": input_px} if fixed else {}
    try:
        return cast(nn.Module, timm.create_model(model, pretrained=False, num_classes=0, **arguments))
    except REFUSED as error:
        raise InputError(
            f"{PREFIX}{model} cannot be made for images of {input_px} pixels ({_first_line(error)}): choose another "
            "size, or another model."
        ) from None


def _splittable(norm: nn.Module) -> bool:
    from timm.layers import BatchNormAct2d

    return type(norm) in (nn.BatchNorm2d, BatchNormAct2d, SplitBatchNorm2d, SplitBatchNormAct2d)


def _split_norms(network: nn.Module, config: TimmBackbone) -> None:
    """Replaces batch normalisation by ours, which splits a batch; the parameters keep their names and values."""
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm2d) and _splittable(norm):
                setattr(parent, name, _split(norm, config))


def _split(norm: nn.BatchNorm2d, config: TimmBackbone) -> SplitBatchNorm2d:
    splits, statistics = config.batch_norm_splits, config.running_statistics
    kind = SplitBatchNorm2d if type(norm) is nn.BatchNorm2d else SplitBatchNormAct2d
    ours = kind(norm.num_features, num_splits=splits, running_statistics=statistics)
    assert norm.momentum is not None
    ours.eps, ours.momentum = norm.eps, norm.momentum
    ours.load_state_dict(norm.state_dict())
    if isinstance(ours, SplitBatchNormAct2d):
        ours.drop, ours.act = cast(nn.Module, norm.drop), cast(nn.Module, norm.act)
    return ours


@cache
def _data_config(name: str) -> Mapping[str, Any]:
    """What timm knows of a model and the weights that its tag names.

    Raises:
        InputError: timm has no such model, or no weights of that tag.
    """
    import timm
    from timm.models import get_arch_pretrained_cfgs

    model, _, tag = name.partition(".")
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=3)
        hint = (
            f"did you mean {' or '.join(PREFIX + each for each in near)}?" if near else "timm.list_models() names them."
        )
        raise InputError(f"timm has no model {model!r}: {hint}")
    try:
        known = timm.get_pretrained_cfg(name)
    except RuntimeError:
        tags = ", ".join(sorted(each.partition(".")[2] for each in get_arch_pretrained_cfgs(model)))
        raise InputError(f"timm knows no weights {tag!r} of {model}: it knows {tags}.") from None
    config = timm.data.resolve_data_config(pretrained_cfg=known.to_dict() if known else {"input_size": (3, 224, 224)})
    return {
        **config,
        "fixed_input_size": bool(known and known.fixed_input_size),
        "license": known.license if known else None,
    }


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
