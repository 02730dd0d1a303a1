"""Backbones by timm: any of its models that gives pooled features, in the input size and normalisation it expects."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.fields import BatchSize, Pixels, Probability, Share
from trainers.networks.backbones import FeatureExtractor, FeatureMaps, RunningStatistics, SplitBatchNorm2d
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD
from trainers.networks.timm_models import PREFIX as PREFIX
from trainers.networks.timm_models import Made, Seen, created, expected, fault_of_training, renamed, seen, splits
from trainers.runtime import randomness
from trainers.stage import InputError

NETWORK = "network."
"""Before timm's names of tensors, in the state of a `TimmNetwork`."""

PIXELS_AT_ONCE = 256 * 224**2
"""Pixels that a network which learns nothing sees at once: resized views may be several times larger."""

Interpolation = Literal["bicubic", "bilinear"]
Mean = tuple[Probability, Probability, Probability]
Deviation = tuple[Share, Share, Share]


@dataclass(frozen=True, kw_only=True)
class TimmBackbone(FeatureExtractor):
    """A model of timm up to its pooled features.

    Views are those of every other network, normalised by ImageNet's mean and standard deviation: the network itself
    resizes them and normalises them as its weights expect. `architectures.backbone_of` reads what that is from timm.

    Attributes:
        model: timm's name, without the tag of its weights.
        input_px: side that images are resized to; None takes them as they come.
        weights_px: side of the images that its weights were trained on, where that decides their shapes and is another:
            position embeddings are resized in every pass.
        mean: of each colour, of the images that it expects.
        std: likewise.
        interpolation: of resizing.
        batch_norm_splits: as for `Backbone`, where the model has batch normalisation.
        running_statistics: as for `Backbone`.
    """

    model: str
    input_px: Pixels | None = None
    weights_px: Pixels | None = None
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
    def classifiers(self) -> tuple[str, ...]:
        """Names, as timm's, of the layers behind the features, which files may hold and the network has not."""
        return expected(self.model).classifiers

    @property
    def num_features(self) -> int:
        return self._seen(224).num_features

    @property
    def gflops_at_224(self) -> float:
        return self.gflops_at(224)

    def gflops_at(self, size_px: int) -> float:
        return self._seen(size_px).gflops

    @property
    def cell_px(self) -> int | None:
        """Pixels of an image, along each side, per cell of the feature maps whose mean the features are made of.

        None where the features are something else, or where images are resized.
        """
        return None if self.input_px else self._seen(224).cell_px

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
        fault = fault_of_training(self.model)
        if fault:
            raise InputError(
                f"{PREFIX}{self.model} cannot be trained by these methods: {fault}. It can teach; as a student, take "
                "such a network, as timm:resnet50 or timm:convnext_tiny."
            )

    def check_size(self, size_px: int) -> None:
        self._seen(size_px)

    def build(self, seed: int) -> "TimmNetwork":
        with randomness.torch_seeded(seed, "backbone"):
            network = created(self._made)
        _split_norms(network, self)
        return TimmNetwork(network, self)

    def names_in(self, tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """A file's names of tensors by timm's, where the file has those of the model's authors."""
        return renamed(self._made, tensors)

    @property
    def _made(self) -> Made:
        return Made(self.model, self.input_px, self.weights_px)

    def _seen(self, size_px: int) -> Seen:
        return seen(self._made, self.input_px or size_px)


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
        mean, std, their_mean, their_std = (
            torch.tensor(each).view(3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD, config.mean, config.std)
        )
        self.register_buffer("scale", std / their_std, persistent=False)
        self.register_buffer("shift", (mean - their_mean) / their_std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.training or torch.is_grad_enabled() or self.input_px is None:
            return cast(Tensor, self.network(self.fitted(images)))
        parts = torch.split(images, max(1, PIXELS_AT_ONCE // self.input_px**2))
        return torch.cat([self.network(self.fitted(part)) for part in parts])

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


class SplitBatchNormAct2d(SplitBatchNorm2d):
    """timm's normalisation with the activation behind it, over the splits of a batch."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        y: Tensor = self.act(self.drop(super().forward(x, residual, relu)))
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
    named, at, pixels = name.partition("@")
    weights = expected(named)
    if at and (not pixels.isdecimal() or int(pixels) < 1):
        raise InputError(f"{PREFIX}{name} ends with @{pixels}: give the side of its input in pixels, such as @224.")
    input_px = int(pixels) if at else weights.size_px if resizes or weights.fixed else None
    backbone = TimmBackbone(
        model=named.partition(".")[0],
        input_px=input_px,
        weights_px=weights.size_px if weights.fixed and input_px != weights.size_px else None,
        mean=weights.mean,
        std=weights.std,
        interpolation="bilinear" if weights.interpolation == "bilinear" else "bicubic",
    )
    backbone.check_size(224)
    return backbone


def licence_note(name: str) -> str:
    """Licence, in a note of timm, of a model's weights, by a name with or without tag; empty where it has none."""
    return expected(name.partition("@")[0]).licence


def _split_norms(network: nn.Module, config: TimmBackbone) -> None:
    """Replaces batch normalisation by ours, which splits a batch; the parameters keep their names and values."""
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm2d) and splits(norm):
                setattr(parent, name, _split(norm, config))


def _split(norm: nn.BatchNorm2d, config: TimmBackbone) -> SplitBatchNorm2d:
    num_splits, statistics = config.batch_norm_splits, config.running_statistics
    kind = SplitBatchNorm2d if type(norm) is nn.BatchNorm2d else SplitBatchNormAct2d
    ours = kind(norm.num_features, num_splits=num_splits, running_statistics=statistics)
    assert norm.momentum is not None
    ours.eps, ours.momentum = norm.eps, norm.momentum
    ours.load_state_dict(norm.state_dict())
    if isinstance(ours, SplitBatchNormAct2d):
        ours.drop, ours.act = cast(nn.Module, norm.drop), cast(nn.Module, norm.act)
    return ours
