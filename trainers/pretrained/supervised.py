"""Supervised training of a backbone on classes of images, in place of supervised public weights."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.artifacts.history import write_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frames, FrameSource
from trainers.data.loading import ViewLoader
from trainers.fields import BatchSize, Channels, Epochs, LearningRate, Seed, Weight
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
        return training_cost(self.backbone, self.augmentation.size_px, num_images * self.epochs, 6)

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        backbone = self.backbone.build(self.seed)
        with ExitStack() as stack:
            images = stack.enter_context(Frames(work.inputs_of("frames"), labelled_only=True))
            if not len(images):
                raise InputError("supervised training has no labelled image: give images whose classes are known.")
            loader = stack.enter_context(
                ViewLoader(
                    images,
                    batch_size=self.batch_size,
                    augmentation=self.augmentation,
                    seed=self.seed,
                    threads=work.resources.threads,
                    pin_memory=device.type == "cuda",
                )
            )
            history = train_supervised(
                SupervisedTask(
                    model=nn.Sequential(backbone, self._classifier(len(images.label_names))),
                    batches=lambda epoch: _examples(loader, epoch, device),
                    loss=F.cross_entropy,
                    validate=lambda: None,
                    learning_rate=self.learning_rate_at,
                    weight_decay=self.weight_decay,
                    epochs=self.epochs,
                    selection="last",
                    seed=self.seed,
                    work=work,
                    device=device,
                )
            )
        head = projection_mlp(self.backbone.num_features, self.embedding_size, self.seed, "head")
        query = Encoder(backbone.cpu(), head)
        pair = SharedBackbonePair(query, copy.deepcopy(query), trains="none")
        write_weights(work.output, pair)
        write_history(work.output, history)
        checkpoint.discard(work.output)

    def _classifier(self, num_classes: int) -> nn.Module:
        with randomness.torch_seeded(self.seed, "classifier"):
            return nn.Linear(self.backbone.num_features, num_classes)


def _examples(loader: ViewLoader, epoch: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Both views of every image of a batch, 2N×3×S×S, and their classes, 2N."""
    labels = torch.from_numpy(loader.frames.labels).long()
    for rows, batch in zip(loader.order(epoch), loader.epoch(epoch), strict=True):
        views = network_input(batch.views.flatten(0, 1), device)
        yield views, labels[torch.from_numpy(rows)].repeat(2).to(device)
