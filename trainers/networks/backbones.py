"""Backbones: ResNets whose batch normalisation sees the batch in splits, as MoCo's GPUs do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.fields import BatchSize, Channels
from trainers.networks import resnet_sizes
from trainers.networks.batch_norm import kernels_available, normalise_in_parts, normalise_together
from trainers.runtime import distributed, randomness
from trainers.stage import Config, InputError

Architecture = Literal["resnet50", "resnet18", "resnet10"]
RunningStatistics = Literal["mean", "first"]

TORCHVISIONS_WIDTH = 64
"""Channels of the first stage of torchvision's ResNets."""
STRIDE_PX = 32
"""Pixels of an image, along each side, per cell of the last feature maps of every architecture here."""


class FeatureExtractor(Config, ABC):
    """A network from images to the pooled features that heads and classifiers take."""

    @property
    @abstractmethod
    def num_features(self) -> int:
        """Length of the pooled feature vector."""

    @property
    @abstractmethod
    def gflops_at_224(self) -> float:
        """Multiply-adds of one forward pass of a 224-px image, in units of 10⁹."""

    def gflops_at(self, size_px: int) -> float:
        """Multiply-adds of one forward pass of an image of this side, in units of 10⁹."""
        return self.gflops_at_224 * (size_px / 224) ** 2

    @property
    def num_numbers(self) -> int:
        """Numbers in all of its tensors, those of normalisation counted; nothing is computed for it."""
        with torch.device("meta"):
            return sum(tensor.numel() for tensor in self.build(0).state_dict().values())

    def check_size(self, size_px: int) -> None:  # ResNets take any
        """Refuses images of a size that the network cannot see.

        Raises:
            InputError: they are too small.
        """

    @abstractmethod
    def build(self, seed: int) -> nn.Module:
        """A freshly initialised network: images N×3×H×W to features N×C."""

    @abstractmethod
    def without_splits(self) -> Self:
        """The same network for batches that need not divide: it normalises a batch in one part."""


@dataclass(frozen=True, kw_only=True)
class Backbone(FeatureExtractor):
    """A residual network up to its global average pooling.

    Attributes:
        architecture: `resnet50` and `resnet18` are torchvision's; `resnet10` has one basic block per stage and a 3×3
            stem, for small images.
        width: channels of the first stage; `resnet10` and `resnet18` take others than 64.
        batch_norm_splits: into how many parts a batch is split for its normalisation statistics. MoCo's authors have
            one part per GPU, which makes the number part of the algorithm.
        running_statistics: from the splits' statistics, take the mean, or the first split's (what DDP does when it
            broadcasts rank 0's buffers).
    """

    architecture: Architecture = "resnet50"
    width: Channels = TORCHVISIONS_WIDTH
    batch_norm_splits: BatchSize = 1
    running_statistics: RunningStatistics = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture == "resnet50" and self.width != TORCHVISIONS_WIDTH:
            raise InputError(f"width is {self.width}: resnet50 has 64; resnet10 and resnet18 take others.")

    @property
    def described(self) -> str:
        """The network in words, without how it normalises a batch."""
        return f"{self.architecture} of width {self.width}"

    @property
    def cell_px(self) -> int | None:
        """Pixels of an image, along each side, per cell of the feature maps whose mean the features are."""
        return STRIDE_PX

    @property
    def num_features(self) -> int:
        return 2048 if self.architecture == "resnet50" else 8 * self.width

    @property
    def gflops_at_224(self) -> float:
        return {"resnet50": 4.1, "resnet18": 1.8, "resnet10": 0.8}[self.architecture] * (
            self.width / TORCHVISIONS_WIDTH
        ) ** 2

    @property
    def num_numbers(self) -> int:
        return resnet_sizes.num_numbers(self.architecture, self.width)

    def without_splits(self) -> Self:
        return replace(self, batch_norm_splits=1)

    def normalised_in(self, splits: int, running_statistics: RunningStatistics) -> Self:
        """The same network that normalises a batch in these parts."""
        return replace(self, batch_norm_splits=splits, running_statistics=running_statistics)

    def takes_weights_of(self, other: FeatureExtractor) -> bool:
        """Whether the weights of another network are those of this one."""
        return isinstance(other, Backbone) and (other.architecture, other.width) == (self.architecture, self.width)

    def check_trainable(self) -> None:  # ResNets always are
        """Refuses a network that self-supervision cannot train.

        Raises:
            InputError: the network needs another recipe.
        """

    def build(self, seed: int, purpose: str = "backbone") -> nn.Module:
        norm = partial(SplitBatchNorm2d, num_splits=self.batch_norm_splits, running_statistics=self.running_statistics)
        from trainers.networks import resnets  # torchvision takes a second to import, and few processes build networks

        with randomness.torch_seeded(seed, purpose):
            return resnets.build(self.architecture, self.width, norm)


class SplitBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose training statistics are taken over `num_splits` consecutive parts of the batch.

    One process with four splits computes what four GPUs with a quarter of the batch each compute without
    synchronisation; with shuffled batches this is MoCo's ShuffleBN (He et al., arXiv 1911.05722, Sec. 3.3).
    Several workers hold whole splits each, so that how many they are changes nothing; their running statistics part
    until `sync_running_statistics_` is called. A single split is synchronised: any number of workers share it.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, num_features: int, *, num_splits: int = 1, running_statistics: RunningStatistics = "mean"):
        super().__init__(num_features)
        self.num_splits = num_splits
        self.running_statistics = running_statistics

    @property
    def is_synchronised(self) -> bool:
        """Whether a training pass waits for other workers here."""
        return self.num_splits == 1 and distributed.world_size() > 1

    def forward(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        """Normalises a batch, then adds to it and sets what is negative to zero, where asked.

        Args:
            x: N×C×H×W.
            residual: what is added to the normalised batch, N×C×H×W.
            relu: whether the result is the positive part.

        Raises:
            ValueError: the batch does not divide into the parts, or a part has one value per channel.
        """
        splits = self.num_splits // distributed.world_size()
        if self.training and splits > 1:
            _check_parts(x, splits)
        if not self.training:
            y = super().forward(x)
        elif self.is_synchronised:
            y = normalise_together(self, x)
        elif x.is_cuda and x.dtype != torch.float64 and kernels_available():
            return self._by_kernels(x, splits, residual, relu)
        elif splits == 1:
            y = super().forward(x)
        else:
            y = self._in_parts(x, splits)
        if residual is not None:
            y += residual
        return F.relu_(y) if relu else y

    def _in_parts(self, x: Tensor, splits: int) -> Tensor:
        means, variances = self.running_mean.repeat(splits, 1), self.running_var.repeat(splits, 1)
        y = normalise_in_parts(x, self.weight, self.bias, means, variances, self.momentum, self.eps)
        with torch.no_grad():
            first = self.running_statistics == "first"
            self.running_mean.copy_(means[0] if first else means.mean(0))
            self.running_var.copy_(variances[0] if first else variances.mean(0))
            self.num_batches_tracked += 1
        return y

    def _by_kernels(self, x: Tensor, splits: int, residual: Tensor | None, relu: bool) -> Tensor:
        from trainers.networks.fused_batch_norm import SplitBatchNorm  # needs Triton

        self.num_batches_tracked += 1
        return cast(
            Tensor,
            SplitBatchNorm.apply(
                x,
                self.weight,
                self.bias,
                residual,
                self.running_mean,
                self.running_var,
                splits,
                self.running_statistics == "first",
                self.momentum,
                self.eps,
                relu,
            ),
        )


def _check_parts(x: Tensor, splits: int) -> None:
    """Refuses a batch that cannot be normalised in parts."""
    if len(x) % splits:
        raise ValueError(f"a batch of {len(x)} does not divide into {splits} parts.")
    if x.numel() // x.shape[1] <= splits:
        raise ValueError(
            f"a part of a batch of {tuple(x.shape)} in {splits} has one value per channel: it has no spread."
        )


def sync_running_statistics_(module: nn.Module) -> None:
    """Sets the running statistics of all workers to those of a single process.

    They are linear in the batches' statistics, so that once is enough before they are read.
    """
    norms = [each for each in module.modules() if isinstance(each, SplitBatchNorm2d) and each.training]
    for settle, running_statistics in ((distributed.average_, "mean"), (distributed.broadcast_, "first")):
        same = [each for each in norms if each.running_statistics == running_statistics]
        settle(statistic for each in same for statistic in (each.running_mean, each.running_var))


class FeatureMaps(nn.Module, ABC):
    """A network whose features are the mean of its last feature maps."""

    @abstractmethod
    def feature_maps(self, images: Tensor) -> Tensor:
        """The maps before they are pooled: images N×3×H×W to N×C×⌈H/32⌉×⌈W/32⌉."""

    def from_means(self, means: Tensor) -> Tensor:
        """Features, N×C, of means of the maps, N×C."""
        return means

    @abstractmethod
    def zero_last_norms(self) -> None:
        """Makes every residual block start as the identity: its last normalisation's scale becomes zero.

        Source: Goyal et al., arXiv 1706.02677, Sec. 5.1.
        """
