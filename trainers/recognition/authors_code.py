"""Stages before and after self-supervision as the paper's own code computes them; each difference is a field."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainers.artifacts.predictions import VideoPredictions
from trainers.data.ingest.annotated_rows import AnnotatedRows, read_annotated_rows
from trainers.evaluation.evaluate import Evaluate
from trainers.evaluation.metrics import right_share
from trainers.fields import Seed
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import FeatureExtractor
from trainers.networks.features import IMAGENET_MEAN, IMAGENET_STD
from trainers.networks.supervised import SupervisedTask
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.temporal import LabelPair, PredictPhases, TrainTemporal
from trainers.runtime import randomness
from trainers.ssl.encoders import EncoderStage, write_weights
from trainers.ssl.heads import projection_mlp
from trainers.ssl.method import check_pair
from trainers.ssl.pairs import MomentumPair, separate_encoders
from trainers.stage import Work

HEAD_STD = 0.01
AccuracyOver = Literal["videos", "frames"]


@dataclass(frozen=True, kw_only=True)
class AuthorsStart(EncoderStage):
    """Start of a teacher in the code of Ding et al., MICCAI 2022: public weights, in part.

    Attributes:
        encoder: the public weights.
        running_statistics: whether those of the backbone's normalisation are kept; the authors' code loads parameters
            alone, so that they start at 0 and 1.
        heads_apart: whether query and key head are drawn separately, from N(0, 0.01) with bias 0, as there; otherwise
            they are those of the public weights.
        seed: of the heads.
    """

    encoder: EncoderStage
    running_statistics: bool = False
    heads_apart: bool = True
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self.encoder, "encoder to start from")

    @property
    def backbone(self) -> AnyBackbone:  # type: ignore[override]
        """The architecture of the public weights."""
        return self.encoder.backbone

    @property
    def output_size(self) -> int:
        return self.encoder.output_size

    def expected_seconds(self) -> float:
        return 0.1

    def run(self, work: Work) -> None:
        query, key = separate_encoders(self.backbone, self.encoder, work.inputs["encoder"])
        for role, encoder in (("query", query), ("key", key)):
            if not self.running_statistics:
                _forget_running_statistics(encoder.backbone)
            if self.heads_apart:
                encoder.head = self._head(role)
        write_weights(work.output, MomentumPair(query, key, trains="none"))

    def _head(self, role: str) -> nn.Module:
        head = projection_mlp(self.backbone.num_features, self.output_size, self.seed, "head")
        with randomness.torch_seeded(self.seed, "authors' head", role):
            for layer in head.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=HEAD_STD)
                    nn.init.zeros_(layer.bias)
        return head


def _forget_running_statistics(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()


@dataclass(frozen=True, kw_only=True)
class AuthorsFineTune(FineTune):
    """Fine-tuning as in the code of Ding et al., MICCAI 2022.

    Attributes:
        normalised_input: whether frames are normalised as in pre-training; the authors' code feeds values from 0 to 1.
        new_optimiser_every_epoch: whether Adam starts again with every epoch, as there.
    """

    normalised_input: bool = False
    new_optimiser_every_epoch: bool = True

    @property
    def backbone(self) -> FeatureExtractor:
        return self.encoder.extractor if self.normalised_input else Unnormalised(extractor=self.encoder.extractor)

    def started(self, folder: Path) -> nn.Module:
        network = super().started(folder)
        return network if self.normalised_input else UnnormalisedNetwork(network)

    def task(self, task: SupervisedTask) -> SupervisedTask:
        return replace(task, new_optimiser_every_epoch=self.new_optimiser_every_epoch)


@dataclass(frozen=True, kw_only=True)
class AuthorsEncoderFeatures(EncoderFeatures):
    """Features of an encoder as it is, of frames as the same code feeds them.

    Attributes:
        normalised_input: whether frames are normalised as in pre-training; the authors' code feeds values from 0 to 1.
    """

    normalised_input: bool = False

    def started(self, folder: Path) -> nn.Module:
        network = super().started(folder)
        return network if self.normalised_input else UnnormalisedNetwork(network)


@dataclass(frozen=True, kw_only=True)
class AuthorsTrainTemporal(TrainTemporal):
    """Training of the temporal model as in the same code.

    Attributes:
        new_optimiser_every_epoch: whether Adam starts again with every epoch, as there.
        dropout_in_first_epoch_only: whether dropout is off after the first epoch: train mode is set once, there, and
            evaluation on the validation videos ends it.
        accuracy_over: whether the epoch is chosen by the accuracy over all frames of the validation videos, as there,
            or by the mean of the videos' accuracies.
    """

    new_optimiser_every_epoch: bool = True
    dropout_in_first_epoch_only: bool = True
    accuracy_over: AccuracyOver = "frames"

    def validation_accuracy(self, videos: list[LabelPair]) -> float:
        if self.accuracy_over == "videos":
            return super().validation_accuracy(videos)
        truth, predicted = (np.concatenate(labels) for labels in zip(*videos, strict=True))
        return 100 * right_share(truth, predicted)

    def task(self, task: SupervisedTask) -> SupervisedTask:
        return replace(
            task,
            new_optimiser_every_epoch=self.new_optimiser_every_epoch,
            dropout_in_first_epoch_only=self.dropout_in_first_epoch_only,
        )


@dataclass(frozen=True, kw_only=True)
class AuthorsPredictPhases(PredictPhases):
    """Predictions as long as the annotation, as in the same code.

    It compares the i-th prediction of a video with the i-th annotated row: the last prediction stands for rows after
    the end of the video, and predictions after the last row are cut.

    Attributes:
        annotations: annotated rows of the videos to predict, at the rate of their features.
    """

    annotations: AnnotatedRows

    def written(self, predictions: Iterable[VideoPredictions], work: Work) -> Iterable[VideoPredictions]:
        rows = read_annotated_rows(work.inputs["annotations"])
        every = self.annotations.sample_every
        return (as_long_as_annotated(video, rows[video.video], every) for video in predictions)


def as_long_as_annotated(video: VideoPredictions, truth: np.ndarray, sample_every: int) -> VideoPredictions:
    """The predictions of a video, cut or continued to the number of its annotated rows.

    Args:
        video: one prediction per row of features.
        truth: phase of every annotated row.
        sample_every: source frames from one row to the next.
    """

    def fitted(labels: np.ndarray) -> np.ndarray:
        return np.pad(labels[: len(truth)], (0, max(len(truth) - len(labels), 0)), mode="edge")

    return VideoPredictions(
        video=video.video,
        frames=(np.arange(len(truth)) * sample_every).astype(np.int32),
        truth=truth,
        prediction=fitted(video.prediction),
        framewise=None if video.framewise is None else fitted(video.framewise),
    )


@dataclass(frozen=True, kw_only=True)
class AuthorsEvaluate(Evaluate):
    """Evaluation as in the same code.

    Attributes:
        zero_std_of_one: whether the standard deviation over a single video or phase is 0, as MATLAB's function has it.
    """

    zero_std_of_one: bool = True

    @property
    def std_of_one(self) -> float:
        return 0.0 if self.zero_std_of_one else super().std_of_one


@dataclass(frozen=True, kw_only=True)
class Unnormalised(FeatureExtractor):
    """A network for images with values from 0 to 1, which undoes their normalisation.

    Attributes:
        extractor: the network.
    """

    extractor: FeatureExtractor

    @property
    def num_features(self) -> int:
        return self.extractor.num_features

    @property
    def gflops_at_224(self) -> float:
        return self.extractor.gflops_at_224

    def gflops_at(self, size_px: int) -> float:
        return self.extractor.gflops_at(size_px)

    def check_size(self, size_px: int) -> None:
        self.extractor.check_size(size_px)

    @property
    def num_numbers(self) -> int:
        return self.extractor.num_numbers

    def build(self, seed: int) -> nn.Module:
        return UnnormalisedNetwork(self.extractor.build(seed))

    def without_splits(self) -> Self:
        return replace(self, extractor=self.extractor.without_splits())


class UnnormalisedNetwork(nn.Module):
    """Takes ImageNet's mean and standard deviation back out of images, N×3×H×W, before the network sees them."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images * self.std + self.mean)
        return features
