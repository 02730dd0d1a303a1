"""Temporal model over fixed frame features: its training, and its predictions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainers.artifacts.history import TEMPORAL, write_history
from trainers.artifacts.predictions import VideoPredictions, write_predictions
from trainers.data.frames import UNLABELLED
from trainers.data.ingest.video import Ingest
from trainers.evaluation.metrics import mean_accuracy
from trainers.fields import Channels, CountOrZero, Epochs, LearningRate, Seed, Weight, added
from trainers.networks.costs import small_network_cost
from trainers.networks.supervised import Selection, SupervisedTask, train_supervised
from trainers.recognition.finetune import FineTune, load_linear
from trainers.recognition.multi_stage_tcn import MultiStageTCN, TemporalNetwork, temporal_loss
from trainers.recognition.placement import Placed, model_input, placed
from trainers.recognition.sequences import FeatureStage, Sequence, phases_of, read_sequence, read_sequences
from trainers.runtime import checkpoint, devices, randomness
from trainers.stage import SMALL_SHARE, Cost, InputError, Stage, Work

WEIGHTS = "temporal.pt"
REFERENCE_SECONDS_PER_LAYER = 5e-4
"""Overhead of a layer's forward and backward pass, on the reference machine."""
LAUNCHES_PER_LAYER = 30
"""Operations of a layer on a GPU, forward, backward and by the optimiser."""
REFERENCE_SECONDS_PER_LAYER_STEP = 1.3e-6
"""Forward and backward pass of one dilated layer of 64 maps over one time step, on the reference machine."""


LabelPair = tuple[np.ndarray, np.ndarray]
"""True and predicted phase of every labelled step of a video."""


@dataclass(frozen=True, kw_only=True)
class TrainTemporal(Stage):
    """Trains the temporal model, one video a step.

    Leaves `temporal.pt` and `history.parquet`.

    Attributes:
        training: features of the training videos, and of others where `labelled` names some.
        validation: features of the videos to choose the epoch on; may be missing.
        network: the architecture.
        num_phases: number of classes.
        epochs: passes over the videos.
        learning_rate: of Adam, at the start.
        halve_after: epochs, counted from 1, at whose start the learning rate is halved.
        weight_decay: of Adam.
        selection: which epoch's weights are kept.
        seed: of the start, the order of videos, and dropout.
        labelled: the videos to train on, of those whose features are given; all of them where empty.
        classifier: the frame-wise classifier on the same features that goes with the model; nothing is learnt from it.
    """

    revision: ClassVar[int] = 2
    curves: ClassVar[str] = TEMPORAL
    uses_gpu: ClassVar[bool] = True

    training: FeatureStage
    validation: FeatureStage | None = None
    network: TemporalNetwork = TemporalNetwork()
    num_phases: Channels = 7
    epochs: Epochs = 100
    learning_rate: LearningRate = 5e-4
    halve_after: tuple[CountOrZero, ...] = (30, 60, 90)
    weight_decay: Weight = 1e-5
    selection: Selection = "validation"
    seed: Seed = 0
    labelled: tuple[Ingest, ...] = added(())
    classifier: FineTune | None = added(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {video.name for video in self.known_videos}
        missing = [video.name for video in self.labelled if video.name not in known]
        if missing:
            raise InputError(f"labelled videos have no features: {', '.join(missing)}.")

    @property
    def gpu_share(self) -> float:
        return SMALL_SHARE

    @property
    def known_videos(self) -> tuple[Ingest, ...]:
        """The videos whose features are given to train on; subclasses change them."""
        return self.training.videos

    @property
    def videos(self) -> tuple[Ingest, ...]:
        """The videos to train on."""
        return self.labelled or self.training.videos

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch (0-based)."""
        return self.learning_rate * 0.5 ** sum(epoch + 1 >= bound for bound in self.halve_after)

    def task(self, task: SupervisedTask) -> SupervisedTask:
        """The task of the training loop; subclasses change it."""
        return task

    def validation_accuracy(self, videos: list[LabelPair]) -> float:
        """Accuracy in percent that the epoch is chosen by, the mean over videos; subclasses change it."""
        return mean_accuracy(videos)

    def expected_seconds(self) -> float:
        num_steps = sum(video.num_source_frames for video in self.videos) / self.training.sample_every
        num_layers = self.network.num_stages * self.network.num_layers
        width = (self.network.num_maps / 64) ** 2
        per_layer = len(self.videos) * REFERENCE_SECONDS_PER_LAYER
        per_layer += num_steps * width * REFERENCE_SECONDS_PER_LAYER_STEP
        return self.epochs * num_layers * per_layer

    def expected_cost(self) -> Cost:
        num_layers = self.epochs * self.network.num_stages * self.network.num_layers * len(self.videos)
        return small_network_cost(self.expected_seconds(), LAUNCHES_PER_LAYER * num_layers)

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        training, validation = self.sides(work, device)
        model = self.network.build(len(training[0].features), self.num_phases, self.seed)

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            order = randomness.numpy_generator(self.seed, "permutation", epoch).permutation(len(training))
            for each in (training[index] for index in order):
                yield model_input(each.features, device), each.labels.to(device)

        history = train_supervised(
            self.task(
                SupervisedTask(
                    model=model,
                    batches=batches,
                    loss=temporal_loss,
                    validate=lambda: self._accuracy(model, validation, device),
                    learning_rate=self.learning_rate_at,
                    weight_decay=self.weight_decay,
                    epochs=self.epochs,
                    selection=self.selection,
                    seed=self.seed,
                    work=work,
                    device=device,
                )
            )
        )
        torch.save(model.cpu().state_dict(), work.output / WEIGHTS)
        write_history(work.output, history)
        checkpoint.discard(work.output)

    def sides(self, work: Work, device: torch.device) -> tuple[list[Placed], list[Placed]]:
        """The rows to train on, and those whose accuracy is measured after every epoch; subclasses change them."""
        training = placed_rows(work.inputs["training"], self.videos, device)
        return training, placed_rows(
            work.inputs["validation"], self.validation.videos, device
        ) if self.validation else []

    def _accuracy(self, model: nn.Module, videos: list[Placed], device: torch.device) -> float | None:
        """Accuracy on videos; None without any."""
        if not videos:
            return None
        found = [_logits(model, model_input(video.features, device)).argmax(0).cpu().numpy() for video in videos]
        return self.validation_accuracy([_labelled(*pair) for pair in zip(videos, found, strict=True)])


@dataclass(frozen=True, kw_only=True)
class PredictPhases(Stage):
    """The temporal model's phase for every sampled frame of a set of videos, in `predictions.parquet`.

    Attributes:
        model: the trained temporal model.
        features: of the videos to predict.
        classifier: whose frame-wise phases are written beside the model's, where they are not stored with the features.
    """

    uses_gpu: ClassVar[bool] = True

    model: TrainTemporal
    features: FeatureStage
    classifier: FineTune | None = added(None)

    @property
    def gpu_share(self) -> float:
        return SMALL_SHARE

    def expected_seconds(self) -> float:
        return 0.01 * len(self.features.videos)

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        classifier = load_linear(self.classifier, work.inputs["classifier"]) if self.classifier else None
        sequences = read_sequences(self.features, work.inputs["features"])
        model = load_temporal(self.model, work.inputs["model"], sequences[0].features.shape[1]).to(device)
        predictions = (_predictions(model, sequence, classifier, device) for sequence in sequences)
        write_predictions(work.output, self.written(predictions, work))

    def written(self, predictions: Iterable[VideoPredictions], work: Work) -> Iterable[VideoPredictions]:
        """The predictions that are written; subclasses change them."""
        return predictions


def load_temporal(stage: TrainTemporal, folder: Path, num_features: int) -> MultiStageTCN:
    """The trained temporal model of an artifact.

    Args:
        stage: that left it.
        folder: the artifact.
        num_features: of every frame.
    """
    model = stage.network.build(num_features, stage.num_phases, seed=0)
    model.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return model


def phase_logits(model: nn.Module, sequence: Sequence, device: torch.device) -> Tensor:
    """Logits of every phase in every row, by the model's last stage: P×T, on the CPU."""
    return _logits(model, model_input(sequence.tensor.T.contiguous(), device)).cpu()


def framewise_phases(sequence: Sequence, classifier: nn.Linear | None) -> np.ndarray | None:
    """The frame-wise phases of a video: a classifier's where it is given, else those that are stored, if any."""
    return sequence.framewise if classifier is None else phases_of(classifier, sequence.tensor)


def placed_rows(folder: Path, videos: tuple[Ingest, ...], device: torch.device) -> list[Placed]:
    """The rows of videos from an artifact of features, one video in memory beside those that are placed."""
    sequences = (read_sequence(folder, video.name) for video in videos)
    return placed(((sequence.features, sequence.labels) for sequence in sequences), device)


@torch.inference_mode()
def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    """Logits by the model's last stage, P×T, on its device."""
    model.eval()
    logits: Tensor = model(inputs)[-1, 0]
    return logits


def _labelled(video: Placed, predicted: np.ndarray) -> LabelPair:
    labels = video.labels.cpu().numpy()
    known = labels != UNLABELLED
    return labels[known], predicted[known]


def _predictions(
    model: nn.Module, sequence: Sequence, classifier: nn.Linear | None, device: torch.device
) -> VideoPredictions:
    return VideoPredictions(
        video=sequence.video,
        frames=sequence.frames,
        truth=sequence.labels,
        prediction=phase_logits(model, sequence, device).argmax(0).numpy().astype(np.int8),
        framewise=framewise_phases(sequence, classifier),
    )
