"""Fine-tuning on labelled frames: a linear classifier on a frozen backbone, or the whole network."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from trainers.artifacts.history import write_history
from trainers.data.frames import Frames, FrameSource
from trainers.data.ingest.video import Ingest
from trainers.evaluation.metrics import right_share
from trainers.fields import (
    BatchSize,
    Channels,
    Count,
    Epochs,
    LearningRate,
    Pixels,
    Precision,
    Seed,
    Weight,
    added,
)
from trainers.networks.backbones import FeatureExtractor
from trainers.networks.costs import BYTES_PER_NUMBER, inference_cost, reference_seconds, stored_bytes, training_cost
from trainers.networks.features import features_of, forward
from trainers.networks.supervised import Selection, SupervisedTask, train_supervised
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.examples import NO_ROWS, Examples, FeatureExamples, ImageExamples, labelled_rows
from trainers.runtime import checkpoint, devices, randomness
from trainers.ssl.encoders import EncoderStage, load_backbone
from trainers.stage import SMALL_BYTES, SMALL_SHARE, Cost, InputError, Stage, Work

WEIGHTS = "classifier.pt"
LEARNING_RATES = {"linear": 1e-2, "full": 1e-4}
SIDES = {"videos": "features", "validation": "validation_features"}
"""Fields of the videos of a side and of their stored features."""
SECONDS_PER_READ = 2e-5
"""Reading a stored row of features, on the reference machine."""
SECONDS_PER_STEP = 2e-4
"""A step of the classifier alone there."""


@dataclass(frozen=True, kw_only=True)
class FineTune(Stage):
    """Trains a frame-wise phase classifier on a pre-trained backbone.

    `linear` keeps the backbone in eval mode and trains the classifier alone; `full` trains every layer. Adam, its
    learning rate halved at every even epoch; frames are resized and normalised like those of pre-training, without
    augmentation. Leaves `classifier.pt` (the classifier, and the backbone unless features are given) and
    `history.parquet`.

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
        features: of the encoder, where they are stored already: `linear` reads the rows of `videos` there.
        validation_features: those of `validation`, likewise.
        precision: of the forward passes; the classifier alone is trained in single precision.

    Raises:
        InputError: a value is out of range, or the features are not those of this encoder and these videos.
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
    features: EncoderFeatures | None = added(None)
    validation_features: EncoderFeatures | None = added(None)
    precision: Precision = added("fp32")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder.extractor.check_size(self.size_px)
        self._check_features(self.features, self.videos)
        self._check_features(self.validation_features, self.validation)
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

    @property
    def gpu_share(self) -> float:
        return 1.0 if self.features is None else SMALL_SHARE

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        num_frames = sum(video.num_source_frames for video in self.videos + self.validation) / self.sample_every
        if self.features is not None:
            return Cost(cpu_seconds=num_frames * (SECONDS_PER_READ + self.epochs * SECONDS_PER_STEP / self.batch_size))
        if self.mode == "linear":
            return inference_cost(self.backbone, self.size_px, num_frames, self.precision)
        return training_cost(self.backbone, self.size_px, num_frames * self.epochs, 3, precision=self.precision)

    def expected_bytes(self) -> float:
        classifier = BYTES_PER_NUMBER * self.num_phases * self.backbone.num_features
        return classifier + (stored_bytes(self.backbone) if self.features is None else SMALL_BYTES)

    def expected_working_bytes(self) -> float:
        """Two checkpoints, with the weights of the best epoch and Adam's momenta; those of a classifier are small."""
        return 0.0 if self.mode == "linear" else 2 * 4 * self.expected_bytes()

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        backbone = None
        if self.features is None:
            backbone = self.started(work.inputs["encoder"]).to(device).to(memory_format=torch.channels_last)
        classifier = self._new_classifier()
        model = classifier if backbone is None or self.mode == "linear" else nn.Sequential(backbone, classifier)
        with ExitStack() as stack:
            training, validation = (self._examples(side, work, backbone, device, stack) for side in SIDES)
            if not len(training):
                raise InputError("fine-tuning has no labelled frame: ingest the training videos with annotations.")
            task = SupervisedTask(
                model=model,
                batches=lambda epoch: training.batches(self._order(len(training), epoch)),
                loss=F.cross_entropy,
                validate=lambda: _accuracy(model, validation, self._precision_of_training),
                learning_rate=self.learning_rate_at,
                weight_decay=self.weight_decay,
                epochs=self.epochs,
                selection=self.selection,
                seed=self.seed,
                work=work,
                device=device,
                precision=self._precision_of_training,
            )
            history = train_supervised(self.task(task))
        kept = {} if backbone is None else {"backbone": backbone.cpu().state_dict()}
        torch.save({**kept, "classifier": classifier.cpu().state_dict()}, work.output / WEIGHTS)
        write_history(work.output, history)
        checkpoint.discard(work.output)

    @property
    def _precision_of_training(self) -> Precision:
        return "fp32" if self.mode == "linear" else self.precision

    def _examples(
        self, side: str, work: Work, backbone: nn.Module | None, device: torch.device, stack: ExitStack
    ) -> Examples:
        """The labelled frames of a side; without a backbone, by the features that are stored of it."""
        if backbone is None:
            names = [video.name for video in self._ingested(getattr(self, side))]
            stored = labelled_rows(work.inputs[SIDES[side]], names, self.sample_every) if names else NO_ROWS
            return FeatureExamples(stored.features, stored.labels, self.batch_size, device)
        folders, threads = work.inputs_of(side), work.resources.threads
        frames = stack.enter_context(Frames(folders, sample_every=self.sample_every, labelled_only=True))
        if self.mode == "full":
            return ImageExamples(frames, self.batch_size, device, size_px=self.size_px, threads=threads)
        features = NO_ROWS.features
        if len(frames):
            features = features_of(backbone, frames, self.size_px, device, threads, self.precision)
        return FeatureExamples(features, frames.labels, self.batch_size, device)

    def _ingested(self, videos: tuple[FrameSource, ...]) -> list[Ingest]:
        return [video for video in videos if isinstance(video, Ingest)]

    def _check_features(self, features: EncoderFeatures | None, videos: tuple[FrameSource, ...]) -> None:
        """Refuses stored features that are not those of this encoder, in which frames or videos are missing."""
        if features is None:
            if self.features is not None and videos:
                raise InputError("validation_features are missing: the features of the training videos are given.")
            return
        if self.mode != "linear":
            raise InputError("features are given, but mode is full: they would not be those of the trained backbone.")
        if features.encoder != self.encoder or features.size_px != self.size_px:
            raise InputError("features are given, but of another encoder, or of another size of its input.")
        if self.sample_every % features.sample_every:
            raise InputError(
                f"sample_every is {self.sample_every}: features are given of every {features.sample_every}th frame; "
                "take a multiple of that."
            )
        known, asked = {video.name for video in features.videos}, self._ingested(videos)
        missing = [video.name for video in asked if video.name not in known]
        if missing or len(asked) < len(videos):
            raise InputError(f"features are given, but not those of {', '.join(missing) or 'images'}.")
        if len({video.phases for video in asked}) > 1:
            raise InputError("the videos have several lists of phases: train on videos of one dataset at a time.")

    def _new_classifier(self) -> nn.Linear:
        with randomness.torch_seeded(self.seed, "classifier"):
            classifier = nn.Linear(self.backbone.num_features, self.num_phases)
            if self.classifier_start == "normal":
                nn.init.normal_(classifier.weight, std=0.01)
                nn.init.zeros_(classifier.bias)
        return classifier

    def _order(self, num_frames: int, epoch: int) -> np.ndarray:
        return randomness.numpy_generator(self.seed, "permutation", epoch).permutation(num_frames)


def load_classifier(stage: FineTune, folder: Path, encoder: Path | None = None) -> tuple[nn.Module, nn.Linear]:
    """The backbone and the classifier of a fine-tuned stage, in eval mode.

    Args:
        stage: the stage.
        folder: its artifact.
        encoder: that of its encoder, whose backbone it is where features were given.
    """
    weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    classifier = load_linear(stage, folder)
    if "backbone" not in weights:
        assert encoder is not None, "the backbone is the encoder's"
        return stage.started(encoder).eval(), classifier
    backbone = stage.backbone.build(seed=0)
    backbone.load_state_dict(weights["backbone"])
    return backbone.eval(), classifier


def load_linear(stage: FineTune, folder: Path) -> nn.Linear:
    """The classifier alone of a fine-tuned stage, in eval mode."""
    weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    classifier = nn.Linear(stage.backbone.num_features, stage.num_phases)
    classifier.load_state_dict(weights["classifier"])
    return classifier.eval()


def _accuracy(model: nn.Module, examples: Examples, precision: Precision) -> float | None:
    """Percentage of frames classified right; None where there are none."""
    if not len(examples):
        return None
    model.eval()
    found = (forward(model, inputs, precision) for inputs, _ in examples.batches(np.arange(len(examples))))
    share = right_share(examples.labels, torch.cat([logits.argmax(1) for logits in found]).cpu())
    return float(100 * np.float32(share))  # in the single precision that histories have always had
