"""Fine-tuning on labelled frames: a linear classifier on a frozen backbone, or the whole network."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.artifacts.history import write_history
from trainers.data.frames import Frames, FrameSource
from trainers.data.loading import plain_batches
from trainers.evaluation.metrics import right_share
from trainers.fields import BatchSize, Channels, Count, Epochs, LearningRate, Pixels, Seed, Weight
from trainers.networks.backbones import FeatureExtractor
from trainers.networks.costs import inference_cost, reference_seconds, stored_bytes, training_cost
from trainers.networks.features import features_of, network_input
from trainers.networks.supervised import Selection, SupervisedTask, train_supervised
from trainers.runtime import checkpoint, devices, randomness
from trainers.ssl.encoders import EncoderStage, load_backbone
from trainers.stage import Cost, InputError, Stage, Work

WEIGHTS = "classifier.pt"
LEARNING_RATES = {"linear": 1e-2, "full": 1e-4}


@dataclass(frozen=True, kw_only=True)
class FineTune(Stage):
    """Trains a frame-wise phase classifier on a pre-trained backbone.

    `linear` keeps the backbone in eval mode and trains the classifier alone; `full` trains every layer. Adam, its
    learning rate halved at every even epoch; frames are resized and normalised like those of pre-training, without
    augmentation. Leaves `classifier.pt` (backbone and classifier) and `history.parquet`.

    Attributes:
        encoder: the pre-trained encoders; their query backbone is used.
        videos: labelled training videos.
        validation: labelled videos to choose the epoch on; may be empty.
        mode: which part is trained.
        num_phases: number of classes.
        size_px: side of the square input.
        sample_every: keep every n-th source frame.
        epochs: passes over the frames.
        batch_size: frames per step.
        learning_rate: of Adam, at the start; where not given, 1e-2 for the classifier alone and 1e-4 for every layer.
        weight_decay: of Adam.
        selection: which epoch's weights are kept.
        classifier_start: N(0, 0.01) as on self-supervised features, or torch's default as for supervised ones.
        seed: of the order of frames and the classifier's start.
    """

    uses_gpu: ClassVar[bool] = True

    encoder: EncoderStage
    videos: tuple[FrameSource, ...]
    validation: tuple[FrameSource, ...] = ()
    mode: Literal["linear", "full"] = "linear"
    num_phases: Channels = 7
    size_px: Pixels = 224
    sample_every: Count = 25
    epochs: Epochs = 10
    batch_size: BatchSize = 64
    learning_rate: LearningRate | None = None
    weight_decay: Weight = 1e-5
    selection: Selection = "validation"
    classifier_start: Literal["normal", "default"] = "normal"
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder.extractor.check_size(self.size_px)
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.mode])

    @property
    def kind(self) -> str:
        return f"FineTune {self.mode}"

    @property
    def backbone(self) -> FeatureExtractor:
        """The architecture of the fine-tuned backbone."""
        return self.encoder.extractor

    def learning_rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch (0-based)."""
        assert self.learning_rate is not None, "set at the start"
        return self.learning_rate * 0.5 ** ((epoch + 1) // 2)

    def started(self, folder: Path) -> nn.Module:
        """The network to fine-tune, from the encoder's artifact."""
        return load_backbone(self.encoder, folder)

    def task(self, task: SupervisedTask) -> SupervisedTask:
        """The task of the training loop; subclasses change it."""
        return task

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        num_frames = sum(video.num_source_frames for video in self.videos + self.validation) / self.sample_every
        if self.mode == "linear":
            return inference_cost(self.backbone, self.size_px, num_frames)
        return training_cost(self.backbone, self.size_px, num_frames * self.epochs, 3)

    def expected_bytes(self) -> float:
        return stored_bytes(self.backbone)

    def expected_working_bytes(self) -> float:
        return (
            0.0 if self.mode == "linear" else 2 * 3 * self.expected_bytes()
        )  # two checkpoints, with Adam's two momenta

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        backbone = self.started(work.inputs["encoder"]).to(device).to(memory_format=torch.channels_last)
        classifier = self._new_classifier()
        with ExitStack() as stack:
            training, validation = (
                stack.enter_context(Frames(folders, sample_every=self.sample_every, labelled_only=True))
                for folders in (work.inputs_of("videos"), work.inputs_of("validation"))
            )
            if not len(training):
                raise InputError("fine-tuning has no labelled frame: ingest the training videos with annotations.")
            threads = work.resources.threads
            examples = [
                _Features(self, frames, backbone, device, threads)
                if self.mode == "linear"
                else _Images(self, frames, device, threads)
                for frames in (training, validation)
            ]
            model = classifier if self.mode == "linear" else nn.Sequential(backbone, classifier)
            history = train_supervised(
                self.task(
                    SupervisedTask(
                        model=model,
                        batches=lambda epoch: examples[0].batches(self._order(len(training), epoch)),
                        loss=F.cross_entropy,
                        validate=lambda: _accuracy(model, examples[1]),
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
        weights = {"backbone": backbone.cpu().state_dict(), "classifier": classifier.cpu().state_dict()}
        torch.save(weights, work.output / WEIGHTS)
        write_history(work.output, history)
        checkpoint.discard(work.output)

    def _new_classifier(self) -> nn.Linear:
        with randomness.torch_seeded(self.seed, "classifier"):
            classifier = nn.Linear(self.backbone.num_features, self.num_phases)
            if self.classifier_start == "normal":
                nn.init.normal_(classifier.weight, std=0.01)
                nn.init.zeros_(classifier.bias)
        return classifier

    def _order(self, num_frames: int, epoch: int) -> np.ndarray:
        return randomness.numpy_generator(self.seed, "permutation", epoch).permutation(num_frames)


def load_classifier(stage: FineTune, folder: Path) -> tuple[nn.Module, nn.Linear]:
    """The backbone and the classifier of a fine-tuned stage, in eval mode."""
    weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    backbone = stage.backbone.build(seed=0)
    backbone.load_state_dict(weights["backbone"])
    classifier = nn.Linear(stage.backbone.num_features, stage.num_phases)
    classifier.load_state_dict(weights["classifier"])
    return backbone.eval(), classifier.eval()


class _Examples(ABC):
    """Labelled frames as a model's inputs."""

    def __init__(self, stage: FineTune, frames: Frames, device: torch.device, threads: int) -> None:
        self._stage = stage
        self._frames = frames
        self._device = device
        self._threads = threads
        self.labels = torch.from_numpy(frames.labels).long()

    def __len__(self) -> int:
        return len(self._frames)

    def batches(self, order: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """(inputs, labels) of the frames, batch by batch, in the order given."""
        labels = torch.split(self.labels[torch.from_numpy(order)].to(self._device), self._stage.batch_size)
        return zip(self._inputs(order), labels, strict=True)

    @abstractmethod
    def _inputs(self, order: np.ndarray) -> Iterator[Tensor]: ...


class _Features(_Examples):
    """Features of a backbone that stays as it is: one forward pass serves all epochs."""

    def __init__(
        self, stage: FineTune, frames: Frames, backbone: nn.Module, device: torch.device, threads: int
    ) -> None:
        super().__init__(stage, frames, device, threads)
        if len(frames):
            self._features = features_of(backbone, frames, stage.size_px, device, threads).to(device)

    def _inputs(self, order: np.ndarray) -> Iterator[Tensor]:
        yield from torch.split(self._features[torch.from_numpy(order).to(self._device)], self._stage.batch_size)


class _Images(_Examples):
    """Normalised images, N×3×H×W."""

    def _inputs(self, order: np.ndarray) -> Iterator[Tensor]:
        stage = self._stage
        pinned = self._device.type == "cuda"
        for images in plain_batches(
            self._frames, stage.size_px, stage.batch_size, self._threads, order=order, pin_memory=pinned
        ):
            yield network_input(images, self._device)


@torch.inference_mode()
def _accuracy(model: nn.Module, examples: _Examples) -> float | None:
    """Percentage of frames classified right; None where there are none."""
    if not len(examples):
        return None
    model.eval()
    predicted = [model(inputs).argmax(1) for inputs, _ in examples.batches(np.arange(len(examples)))]
    share = right_share(examples.labels, torch.cat(predicted).cpu())
    return float(100 * np.float32(share))  # in the single precision that histories have always had
