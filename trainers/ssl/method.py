"""Interface of self-supervised methods: modules from the views of a batch to named loss terms."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from trainers.networks.backbones import Backbone, FeatureExtractor
from trainers.ssl.encoders import Encoders, EncoderStage
from trainers.stage import Config, InputError


@dataclass(frozen=True)
class Views:
    """Two augmented views of a batch of frames, and the counters of its random draws."""

    query: Tensor
    """N×3×H×W, normalised."""
    key: Tensor
    """N×3×H×W, normalised: the other view of the same frames."""
    frame_ids: Tensor
    """The frame of each row, N."""
    step: int
    """Optimisation steps before this one, over all epochs."""
    epoch: int = 0
    """Epochs before this one."""
    small: tuple[Tensor, ...] = ()
    """N×3×h×w each, normalised: further, smaller views of the same frames, where the augmentation makes them."""


class Method(nn.Module, ABC):
    """A method during training. It trains the parameters that require a gradient."""

    encoders: Encoders
    """The encoders that later stages use."""

    @abstractmethod
    def forward(self, views: Views) -> Mapping[str, Tensor]:
        """Loss terms of a step by name, already weighted: their sum is minimised."""

    def metrics(self) -> Mapping[str, Tensor]:
        """Metrics of the last step beside its losses, by name."""
        return {}

    def fixed_rate_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters whose learning rate does not follow the schedule."""
        return ()


class MethodConfig(Config, ABC):
    """A method's hyperparameters: a frozen dataclass that builds the method."""

    has_key_encoder: ClassVar[bool] = True
    """Whether its encoders are a pair as MoCo's, which other methods can take as start or as teacher."""

    embedding_size: int

    @abstractmethod
    def build(self, backbone: Backbone, inputs: Mapping[str, Path], seed: int) -> Method:
        """The method at its start.

        Args:
            backbone: the architecture to train.
            inputs: artifact folders of the stages in this config, by field name.
            seed: of initialisation and of the draws within steps.
        """

    @abstractmethod
    def check(self, backbone: Backbone, batch_size: int) -> None:
        """Refuses what cannot work before anything is computed.

        Args:
            backbone: the architecture to train.
            batch_size: frames per step, over all workers.

        Raises:
            InputError: a value is out of range, or does not fit the batch size or the backbone.
        """

    def check_size(self, size_px: int) -> None:  # most methods take views of any size
        """Refuses views of a size that the method cannot work with.

        Args:
            size_px: side of a view.

        Raises:
            InputError: the views do not fit.
        """

    def extractor(self, backbone: Backbone) -> FeatureExtractor:
        """The network of later stages' features: the trained backbone, alone or within a larger network."""
        return backbone

    @property
    @abstractmethod
    def forward_equivalents(self) -> float:
        """Forward-pass equivalents of a step per frame, for the plan: a trained view counts 3, any other 1."""


class ContrastiveConfig(MethodConfig):
    """Hyperparameters of a method whose queries have the keys of earlier batches, in a queue, for negatives."""

    queue_size: int


def check_queue(queue_size: int, batch_size: int) -> None:
    """Refuses a queue that whole batches do not fill.

    Raises:
        InputError: its size is not a positive multiple of the batch size.
    """
    if queue_size <= 0 or queue_size % batch_size:
        nearest = max(1, round(queue_size / batch_size)) * batch_size
        raise InputError(
            f"queue_size is {queue_size}: K must be a multiple of the batch size {batch_size}, such as {nearest}."
        )


def check_pair(stage: EncoderStage, role: str) -> None:
    """Refuses encoders that are not MoCo's pair where a method needs one.

    Raises:
        InputError: the stage leaves one encoder, with a head of its own.
    """
    if not stage.has_key_encoder:
        raise InputError(f"the {role} is {stage.kind}, which leaves no key encoder: take one that MoCo has trained.")


def check_synchronised(backbone: Backbone) -> None:
    """Refuses normalisation in splits where a method's statistics are those of the whole batch.

    Raises:
        InputError: there is more than one split.
    """
    if backbone.batch_norm_splits != 1:
        raise InputError(
            f"batch_norm_splits is {backbone.batch_norm_splits}: this method normalises over the whole batch; take 1."
        )


def check_start(start: EncoderStage, backbone: Backbone, embedding_size: int) -> None:
    """Refuses encoders that a method cannot start from.

    Raises:
        InputError: they are no pair, or the backbone or the length of the embeddings is another.
    """
    check_pair(start, "start")
    if not isinstance(start.extractor, Backbone):
        raise InputError("the start is a student beside its teacher: start from encoders of one backbone.")
    theirs, ours = ((each.architecture, each.width) for each in (start.backbone, backbone))
    if theirs != ours:
        raise InputError(
            f"the start's backbone is {theirs[0]} of width {theirs[1]}: it cannot become {ours[0]} of width {ours[1]}."
        )
    if start.output_size != embedding_size:
        raise InputError(f"embedding_size is {embedding_size}: the encoders to start from have {start.output_size}.")
