"""Interface of self-supervised methods: modules from the views of a batch to named loss terms."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.runtime import distributed
from trainers.ssl.encoders import Encoders, EncoderStage
from trainers.ssl.frozen import Frozen
from trainers.ssl.losses import embedding_std
from trainers.stage import Config, InputError

EMBEDDING_STD = "embedding_std"
SPREADS = (EMBEDDING_STD, "output_std")
"""Metrics that measure how far apart embeddings are; SimSiam's has the name that it has in its histories."""
COLLAPSED = 0.02
"""Spread below which embeddings count as collapsed; those of a random network are a little above it."""
NEAR_CHANCE = 0.99
"""Share of a loss at chance from which it counts as being there."""


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

    advice: ClassVar[str] = "lower learning_rate or raise temperature"
    """What to change where a loss stops being finite."""

    encoders: Encoders
    """The encoders that later stages use."""
    _embedding_std: Tensor | None = None

    @abstractmethod
    def forward(self, views: Views) -> Mapping[str, Tensor]:
        """Loss terms of a step by name, already weighted: their sum is minimised."""

    def metrics(self) -> Mapping[str, Tensor]:
        """Metrics of the last step beside its losses, by name."""
        return {} if self._embedding_std is None else {EMBEDDING_STD: self._embedding_std}

    def note_embeddings(self, embeddings: Tensor) -> None:
        """Makes the spread of this worker's embeddings of a step, N×C, a metric: it is 0 where they have collapsed."""
        everyone = distributed.all_gather(embeddings.detach())
        if len(everyone) > 1:
            self._embedding_std = embedding_std(everyone)

    @property
    def called_once(self) -> tuple[nn.Module, ...]:
        """The networks that a step calls once each, with the images of a whole batch, in this order.

        On a GPU, their passes are recorded and replayed.
        """
        return ()

    def fixed_rate_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters whose learning rate does not follow the schedule."""
        return ()


@dataclass(frozen=True)
class Chance:
    """Value of a loss term at chance, where embeddings distinguish nothing, and its formula."""

    value: float
    formula: str


class MethodConfig(Config, ABC):
    """A method's hyperparameters: a frozen dataclass that builds the method."""

    has_key_encoder: ClassVar[bool] = True
    """Whether its encoders are a pair as MoCo's, which other methods can take as start or as teacher."""

    teacher_views: ClassVar[int] = 2
    """Views of every frame that `teachers` see."""

    embedding_size: int

    @abstractmethod
    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        """The method at its start.

        Args:
            backbone: the architecture to train.
            inputs: artifact folders of the stages in this config, by field name.
            seed: of initialisation and of the draws within steps.
        """

    @abstractmethod
    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        """Refuses what cannot work before anything is computed.

        Args:
            backbone: the architecture to train.
            batch_size: frames per step, over all workers.

        Raises:
            InputError: a value is out of range, or does not fit the batch size or the backbone.
        """

    @property
    def teachers(self) -> tuple[FeatureExtractor, ...]:
        """Networks that see views of every frame beside the encoders that are trained, and learn nothing."""
        return ()

    def recordable(self) -> Mapping[str, Frozen]:
        """The answers of frozen networks that can be recorded, by kind: `features` or `embeddings`.

        Each kind alone replaces all forward passes of what is frozen. A class that derives from a method says it again:
        its step may ask something else.
        """
        return {}

    @property
    def moving_teachers(self) -> tuple[FeatureExtractor, ...]:
        """Those of `teachers` that move all the same: checkpoints hold both encoders of each."""
        return ()

    @property
    def trains_backbone(self) -> bool:
        """Whether the backbone is among what learns."""
        return True

    @property
    def moves_backbone(self) -> bool:
        """Whether parameters or statistics of the backbone move."""
        return self.trains_backbone

    def check_size(self, size_px: int) -> None:
        """Refuses views of a size that the method cannot work with.

        Args:
            size_px: side of a view.

        Raises:
            InputError: the views do not fit.
        """
        for teacher in self.teachers:
            teacher.check_size(size_px)

    def extractor(self, backbone: AnyBackbone) -> FeatureExtractor:
        """The network of later stages' features: the trained backbone, alone or within a larger network."""
        return backbone

    def chance(self) -> Mapping[str, Chance]:
        """The loss terms whose value without anything learned is known, by name."""
        return {}

    def remarks(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Sentences on metrics of an epoch: embeddings that have collapsed, losses that have not left chance."""
        return (*_collapse(metrics), *_losses_at_chance(self.chance(), metrics))

    @property
    @abstractmethod
    def forward_equivalents(self) -> float:
        """Forward passes of the backbone per frame of a step, for the plan: a trained view counts 3, any other 1.

        Those of `teachers` are counted beside them.
        """


class ContrastiveConfig(MethodConfig):
    """Hyperparameters of a method whose queries have the keys of earlier batches, in a queue, for negatives."""

    queue_size: int
    contrastive_weight: float = 1.0

    def chance(self) -> Mapping[str, Chance]:
        weight = self.contrastive_weight
        formula = "ln(K + 1)" if weight == 1 else f"{weight:g} ln(K + 1)"
        return {"contrastive": Chance(weight * math.log(self.queue_size + 1), formula)} if weight else {}


def _collapse(metrics: Mapping[str, float]) -> Iterator[str]:
    for name in SPREADS:
        if metrics.get(name, 1.0) < COLLAPSED:
            yield f"the embeddings have collapsed into one: {name} is {metrics[name]:.4f}, between 0 and about 1."


def _losses_at_chance(chance: Mapping[str, Chance], metrics: Mapping[str, float]) -> Iterator[str]:
    for name, each in chance.items():
        loss = metrics.get(f"loss_{name}")
        if loss is not None and loss >= NEAR_CHANCE * each.value:
            yield (
                f"the {name.replace('_', ' ')} loss, {loss:.3f}, has not left {each.formula} = {each.value:.3f}, its "
                "value at chance."
            )


def recordable_of(method: MethodConfig) -> Mapping[str, Frozen]:
    """What of a method can be recorded, as its own class says; what it derives from says nothing of it."""
    return method.recordable() if "recordable" in vars(type(method)) else {}


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


def check_taught(teacher: EncoderStage, embedding_size: int) -> None:
    """Refuses a student whose embeddings cannot be compared with the teacher's, channel by channel.

    Raises:
        InputError: they are not as long.
    """
    if teacher.output_size != embedding_size:
        raise InputError(f"embedding_size is {embedding_size}, but the teacher's is {teacher.output_size}: take that.")


def check_synchronised(backbone: AnyBackbone, batch_size: int) -> None:
    """Refuses normalisation in splits where a method's statistics are those of the whole batch.

    Raises:
        InputError: there is more than one split, or too few frames for statistics.
    """
    if backbone.batch_norm_splits != 1:
        raise InputError(
            f"batch_norm_splits is {backbone.batch_norm_splits}: this method normalises over the whole batch; take 1."
        )
    if batch_size < 2:
        raise InputError(f"batch_size is {batch_size}: batch normalisation needs at least 2 frames.")


def check_start(start: EncoderStage, backbone: AnyBackbone, embedding_size: int) -> None:
    """Refuses encoders that a method cannot start from.

    Raises:
        InputError: they are no pair, or the backbone or the length of the embeddings is another.
    """
    check_pair(start, "start")
    if start.extractor != start.backbone:
        raise InputError("the start is a student beside its teacher: start from encoders of one backbone.")
    if not backbone.takes_weights_of(start.backbone):
        theirs, ours = start.backbone, backbone
        theirs.check_trainable()
        name = theirs.architecture.partition("@")[0]
        advice = "" if name == ours.architecture else f" Set architecture={name}."
        raise InputError(f"the start's backbone is {theirs.described}: it cannot become {ours.described}.{advice}")
    if start.output_size != embedding_size:
        raise InputError(f"embedding_size is {embedding_size}: the encoders to start from have {start.output_size}.")
