"""Supervised training of a backbone on classes of images, in place of supervised public weights."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.artifacts.history import Record, write_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frames, FrameSource
from trainers.data.loading import ViewLoader
from trainers.fields import (
    BatchSize,
    Channels,
    CountOrZero,
    Epochs,
    LearningRate,
    Precision,
    Seed,
    Temperature,
    Weight,
    added,
)
from trainers.networks import schedules
from trainers.networks.architectures import AnyBackbone
from trainers.networks.costs import reference_seconds, training_cost
from trainers.networks.features import network_input
from trainers.networks.supervised import SupervisedTask, train_supervised
from trainers.runtime import checkpoint, devices, randomness
from trainers.ssl.encoders import Encoder, EncoderStage, write_weights
from trainers.ssl.heads import projection_mlp
from trainers.ssl.pairs import SharedBackbonePair
from trainers.stage import Cost, InputError, Work

CROP_AND_FLIP = MoCoAugmentation(min_scale=0.08, jitter_probability=0, grayscale_probability=0, blur_probability=0)
"""The usual augmentation of supervised training on ImageNet."""


@dataclass(frozen=True, kw_only=True)
class TrainClassifier(EncoderStage):
    """Trains a backbone to classify labelled images, with cross-entropy.

    Adam with a cosine learning rate; both random views of an image count as examples. Leaves `history.parquet` and,
    as `PublicWeights` does of a supervised checkpoint, `encoders.pt`: the backbone, and a projection head that nothing
    has trained, in the query's and the key's role. The classifier is not kept.

    Attributes:
        frames: labelled images.
        backbone: the architecture.
        augmentation: makes the views of an image.
        epochs: passes over the images.
        batch_size: images per step.
        learning_rate: of Adam, at the start.
        weight_decay: of Adam.
        embedding_size: length of the untrained head's embeddings.
        seed: of the start, the order of images and their views.
        images_per_class: consecutive images that are a class, by their index; 0 where their labels are the classes.
        temperature: τ of a classifier by cosines behind a projection head; a linear one of the features where None.
        precision: of the forward passes.
    """

    uses_gpu: ClassVar[bool] = True

    frames: tuple[FrameSource, ...]
    backbone: AnyBackbone
    augmentation: MoCoAugmentation = CROP_AND_FLIP
    epochs: Epochs = 90
    batch_size: BatchSize = 128
    learning_rate: LearningRate = 1e-3
    weight_decay: Weight = 1e-5
    embedding_size: Channels = 128
    seed: Seed = 0
    images_per_class: CountOrZero = added(0)
    temperature: Temperature | None = added(None)
    precision: Precision = added("fp32")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.backbone.check_size(self.augmentation.size_px)

    @property
    def shared_backbone(self) -> EncoderStage:
        return self

    @property
    def output_size(self) -> int:
        return self.embedding_size

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch (0-based)."""
        return schedules.cosine(self.learning_rate, epoch, self.epochs)

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        num_images = sum(source.num_source_frames for source in self.frames)
        return training_cost(
            self.backbone, self.augmentation.size_px, num_images * self.epochs, 6, precision=self.precision
        )

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        backbone = self.backbone.build(self.seed)
        with Frames(work.inputs_of("frames"), labelled_only=True) as images:
            if not len(images):
                raise InputError("supervised training has no labelled image: give images whose classes are known.")
            history = self._trained(backbone, images, work, device)
        head = projection_mlp(self.backbone.num_features, self.embedding_size, self.seed, "head")
        query = Encoder(backbone.cpu(), head)
        pair = SharedBackbonePair(query, copy.deepcopy(query), trains="none")
        write_weights(work.output, pair)
        write_history(work.output, history)
        checkpoint.discard(work.output)

    def _trained(self, backbone: nn.Module, images: Frames, work: Work, device: torch.device) -> list[Record]:
        """Trains a backbone, in place, with a classifier that is thrown away."""
        classes, num_classes = self._classes(images)
        loader = ViewLoader(
            images,
            batch_size=self.batch_size,
            augmentation=self.augmentation,
            seed=self.seed,
            threads=work.resources.threads,
            pin_memory=device.type == "cuda",
        )
        with loader:
            return train_supervised(
                SupervisedTask(
                    model=nn.Sequential(backbone, self._classifier(num_classes)),
                    batches=lambda epoch: _examples(loader, classes, epoch, device),
                    loss=F.cross_entropy,
                    validate=lambda: None,
                    learning_rate=self.learning_rate_at,
                    weight_decay=self.weight_decay,
                    epochs=self.epochs,
                    selection="last",
                    seed=self.seed,
                    work=work,
                    device=device,
                    precision=self.precision,
                )
            )

    def _classes(self, images: Frames) -> tuple[Tensor, int]:
        """The class of every image, N, int64, and the number of classes."""
        if not self.images_per_class:
            return torch.from_numpy(images.labels).long(), len(images.label_names)
        groups, classes = np.unique(images.frames // self.images_per_class, return_inverse=True)
        return torch.from_numpy(classes).long(), len(groups)

    def _classifier(self, num_classes: int) -> nn.Module:
        num_features = self.backbone.num_features
        if self.temperature is None:
            with randomness.torch_seeded(self.seed, "classifier"):
                return nn.Linear(num_features, num_classes)
        head = projection_mlp(num_features, self.embedding_size, self.seed, "classifier's head")
        with randomness.torch_seeded(self.seed, "classifier"):
            return nn.Sequential(head, CosineClassifier(self.embedding_size, num_classes, self.temperature))


class CosineClassifier(nn.Module):
    """Cosines of embeddings with one vector of each class, over a temperature, in single precision.

    Source: Wu et al., arXiv 1805.01978, Sec. 3.1, with learned vectors.

    Args:
        embedding_size: C.
        num_classes: M.
        temperature: τ.
    """

    def __init__(self, embedding_size: int, num_classes: int, temperature: float) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(num_classes, embedding_size))
        self.temperature = temperature

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits N×M of embeddings N×C."""
        with torch.autocast(embeddings.device.type, enabled=False):
            cosines = F.linear(F.normalize(embeddings.float(), dim=1), F.normalize(self.vectors, dim=1))
        return cosines / self.temperature


def _examples(loader: ViewLoader, classes: Tensor, epoch: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Both views of every image of a batch, 2N×3×S×S, and their classes, 2N."""
    for rows, batch in zip(loader.order(epoch), loader.epoch(epoch), strict=True):
        views = network_input(batch.views.flatten(0, 1), device)
        yield views, classes[torch.from_numpy(rows)].repeat(2).to(device)
