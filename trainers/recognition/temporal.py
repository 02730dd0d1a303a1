"""Temporal model: a causal multi-stage temporal convolutional network over fixed frame features."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.artifacts.history import TEMPORAL, write_history
from trainers.artifacts.predictions import VideoPredictions, write_predictions
from trainers.data.frames import UNLABELLED
from trainers.evaluation.metrics import mean_accuracy
from trainers.fields import Channels, CountOrZero, Epochs, Layers, LearningRate, Probability, Seed, Weight
from trainers.networks.supervised import Selection, SupervisedTask, train_supervised
from trainers.recognition.extract import ExtractFeatures, Sequence, read_sequences
from trainers.runtime import checkpoint, devices, randomness
from trainers.stage import Config, Stage, Work

WEIGHTS = "temporal.pt"
SMOOTHING_CLAMP = 16.0
REFERENCE_SECONDS_PER_LAYER = 5e-4
"""Overhead of a layer's forward and backward pass, on the reference machine."""
REFERENCE_SECONDS_PER_LAYER_STEP = 1.3e-6
"""Forward and backward pass of one dilated layer of 64 maps over one time step, on the reference machine."""


LabelPair = tuple[np.ndarray, np.ndarray]
"""True and predicted phase of every labelled step of a video."""


@dataclass(frozen=True, kw_only=True)
class TemporalNetwork(Config):
    """MS-TCN with causal convolutions (Farha & Gall, arXiv 1903.01945; causal as in TeCNO, arXiv 2003.10751).

    Attributes:
        num_stages: the first reads features, each later one refines the phases of the one before it.
        num_layers: dilated layers per stage; layer i looks 2·2^i steps back.
        num_maps: channels inside a stage.
        dropout: on whole channels of the features, and inside every layer.
    """

    num_stages: Layers = 2
    num_layers: Layers = 12
    num_maps: Channels = 64
    dropout: Probability = 0.5

    def build(self, num_features: int, num_phases: int, seed: int) -> "MultiStageTCN":
        with randomness.torch_seeded(seed, "temporal"):
            return MultiStageTCN(self, num_features, num_phases)


class MultiStageTCN(nn.Module):
    """Features 1×C×T to phase logits of every stage, S×1×P×T."""

    def __init__(self, config: TemporalNetwork, num_features: int, num_phases: int) -> None:
        super().__init__()
        inputs = [num_features] + [num_phases] * (config.num_stages - 1)
        self.channel_dropout = nn.Dropout1d(config.dropout)
        self.stages = nn.ModuleList(_stage(config, channels, num_phases) for channels in inputs)

    def forward(self, features: Tensor) -> Tensor:
        first, *refinements = self.stages
        outputs = [first(self.channel_dropout(features))]
        for stage in refinements:
            outputs.append(stage(outputs[-1].softmax(1)))
        return torch.stack(outputs)


class CausalLayer(nn.Module):
    """A dilated residual layer that sees the past only: B×M×T to B×M×T."""

    def __init__(self, num_maps: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.padding = 2 * dilation
        self.dilated = nn.Conv1d(num_maps, num_maps, 3, dilation=dilation)
        self.pointwise = nn.Conv1d(num_maps, num_maps, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        past = F.relu(self.dilated(F.pad(x, (self.padding, 0))))
        change: Tensor = self.dropout(self.pointwise(past))
        return x + change


def temporal_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus a truncated smoothing term, averaged over the stages.

    Source: Farha & Gall, arXiv 1903.01945, eqs. 7 to 11, with weight 1. Steps without a label have no cross-entropy;
    smoothing needs no label, and goes on over them.

    Args:
        logits: S×1×P×T.
        labels: phase of every step, T; -1 where it is unknown. One at least is known.
    """
    per_stage = [F.cross_entropy(stage, labels[None], ignore_index=UNLABELLED) + smoothing(stage) for stage in logits]
    return torch.stack(per_stage).mean()


def smoothing(logits: Tensor) -> Tensor:
    """Mean over phases and steps of min((log p_t − stopgrad(log p_{t−1}))², 16), for logits B×P×T."""
    log_p = logits.log_softmax(1)
    change = log_p[..., 1:] - log_p[..., :-1].detach()
    return change.square().clamp(max=SMOOTHING_CLAMP).mean()


@dataclass(frozen=True, kw_only=True)
class TrainTemporal(Stage):
    """Trains the temporal model, one video a step.

    Leaves `temporal.pt` and `history.parquet`.

    Attributes:
        training: features of the training videos.
        validation: features of the videos to choose the epoch on; may be missing.
        network: the architecture.
        num_phases: number of classes.
        epochs: passes over the videos.
        learning_rate: of Adam, at the start.
        halve_after: epochs, counted from 1, at whose start the learning rate is halved.
        weight_decay: of Adam.
        selection: which epoch's weights are kept.
        seed: of the start, the order of videos, and dropout.
    """

    revision: ClassVar[int] = 2
    curves: ClassVar[str] = TEMPORAL
    uses_gpu: ClassVar[bool] = True

    training: ExtractFeatures
    validation: ExtractFeatures | None = None
    network: TemporalNetwork = TemporalNetwork()
    num_phases: Channels = 7
    epochs: Epochs = 100
    learning_rate: LearningRate = 5e-4
    halve_after: tuple[CountOrZero, ...] = (30, 60, 90)
    weight_decay: Weight = 1e-5
    selection: Selection = "validation"
    seed: Seed = 0

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
        num_steps = sum(video.num_source_frames for video in self.training.videos) / self.training.sample_every
        num_layers = self.network.num_stages * self.network.num_layers
        width = (self.network.num_maps / 64) ** 2
        per_layer = len(self.training.videos) * REFERENCE_SECONDS_PER_LAYER
        per_layer += num_steps * width * REFERENCE_SECONDS_PER_LAYER_STEP
        return self.epochs * num_layers * per_layer

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        training = read_sequences(self.training, work.inputs["training"])
        validation = read_sequences(self.validation, work.inputs["validation"]) if self.validation else []
        model = self.network.build(training[0].features.shape[1], self.num_phases, self.seed)

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            order = randomness.numpy_generator(self.seed, "permutation", epoch).permutation(len(training))
            for sequence in (training[index] for index in order):
                yield _features(sequence, device), torch.from_numpy(sequence.labels.astype(np.int64)).to(device)

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

    def _accuracy(self, model: nn.Module, videos: list[Sequence], device: torch.device) -> float | None:
        """Accuracy on videos; None without any."""
        if not videos:
            return None
        return self.validation_accuracy([_labelled(video, _predict(model, video, device)) for video in videos])


@dataclass(frozen=True, kw_only=True)
class PredictPhases(Stage):
    """The temporal model's phase for every sampled frame of a set of videos, in `predictions.parquet`.

    Attributes:
        model: the trained temporal model.
        features: of the videos to predict.
    """

    uses_gpu: ClassVar[bool] = True

    model: TrainTemporal
    features: ExtractFeatures

    def expected_seconds(self) -> float:
        return 0.01 * len(self.features.videos)

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        sequences = read_sequences(self.features, work.inputs["features"])
        model = load_temporal(self.model, work.inputs["model"], sequences[0].features.shape[1]).to(device)
        predictions = (_predictions(model, sequence, device) for sequence in sequences)
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


@torch.inference_mode()
def phase_logits(model: nn.Module, sequence: Sequence, device: torch.device) -> Tensor:
    """Logits of every phase in every row, by the model's last stage: P×T, on the CPU."""
    model.eval()
    logits: Tensor = model(_features(sequence, device))[-1, 0].cpu()
    return logits


def _stage(config: TemporalNetwork, inputs: int, num_phases: int) -> nn.Module:
    layers = [CausalLayer(config.num_maps, 2**i, config.dropout) for i in range(config.num_layers)]
    return nn.Sequential(nn.Conv1d(inputs, config.num_maps, 1), *layers, nn.Conv1d(config.num_maps, num_phases, 1))


def _features(sequence: Sequence, device: torch.device) -> Tensor:
    return torch.from_numpy(sequence.features.T.copy())[None].to(device)


def _predict(model: nn.Module, sequence: Sequence, device: torch.device) -> np.ndarray:
    phases: np.ndarray = phase_logits(model, sequence, device).argmax(0).numpy()
    return phases


def _labelled(video: Sequence, predicted: np.ndarray) -> LabelPair:
    known = video.labels != UNLABELLED
    return video.labels[known], predicted[known]


def _predictions(model: nn.Module, sequence: Sequence, device: torch.device) -> VideoPredictions:
    return VideoPredictions(
        video=sequence.video,
        frames=sequence.frames,
        truth=sequence.labels,
        prediction=_predict(model, sequence, device).astype(np.int8),
        framewise=sequence.framewise,
    )
