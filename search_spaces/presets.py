"""Presets (the protocol) and scales (the sizes): two independent choices that every recipe is given."""

from dataclasses import dataclass, replace
from typing import Literal

from trainers.backbones import Architecture, RunningStatistics
from trainers.data.datasets import Dataset
from trainers.data.ingest import Video
from trainers.data.splits import Split, official, selection
from trainers.data.video_file import NOMINAL_FPS
from trainers.loop import Precision
from trainers.supervised import Selection

SplitName = Literal["selection", "official"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What the experiment does, whatever its size.

    Attributes:
        temperature: τ.
        distillation_weight: λ.
        contrastive_weight: factor of L_con in the total loss.
        batch_norm_splits: parts of a batch with normalisation statistics of their own.
        running_statistics: from all parts, or from the first.
        split: which videos train, validate and test.
        selection: which epoch of the fine-tuned and of the temporal model is kept.
        temporal_stages: stages of the temporal model.
        relaxed_fps: rate that the relaxed metrics' window of 10 s is counted at; that of the rows where None.
    """

    name: str
    description: str
    temperature: float = 0.07
    distillation_weight: float = 5.0
    contrastive_weight: float = 1.0
    batch_norm_splits: int = 4
    running_statistics: RunningStatistics = "mean"
    split: SplitName = "selection"
    selection: Selection = "validation"
    temporal_stages: int = 2
    relaxed_fps: float | None = None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the experiment is.

    Attributes:
        architecture: of all backbones.
        width: channels of the backbone's first stage.
        store_px: side of stored frames.
        size_px: side of the network's input.
        ssl_fps: rate of the frames that pre-training, probe and fine-tuning see.
        feature_fps: rate of the frames that are stored, and that the temporal model sees.
        queue_size: K.
        momentum: m of the key encoder; 1/(1−m) steps is how long it remembers, which a short run must outlast.
        batch_size: frames per step of pre-training.
        student_epochs: passes of a student over the frames.
        teacher_epochs: passes of a teacher over the frames.
        learning_rate: of pre-training, at the start.
        precision: of pre-training.
        probe_every_epochs: how often the kNN probe looks at a student.
        generic_images: number of generic images that the free weights are trained on.
        generic_epochs: passes over them.
        finetune_epochs: passes of the frame-wise classifier.
        temporal_layers: dilated layers per stage of the temporal model.
        temporal_maps: channels inside the temporal model.
        temporal_epochs: passes of the temporal model over the videos.
        temporal_learning_rate: of Adam, at the start.
        temporal_halve_after: epochs after which it is halved.
    """

    name: str
    description: str
    architecture: Architecture
    width: int = 64
    store_px: int
    size_px: int
    ssl_fps: float
    feature_fps: float
    queue_size: int
    momentum: float = 0.999
    batch_size: int
    student_epochs: int
    teacher_epochs: int
    learning_rate: float
    precision: Precision
    probe_every_epochs: int
    generic_images: int
    generic_epochs: int
    finetune_epochs: int
    temporal_layers: int
    temporal_maps: int
    temporal_epochs: int
    temporal_learning_rate: float = 5e-4
    temporal_halve_after: tuple[int, ...] = (30, 60, 90)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="corrected",
            description="what the paper evidently means, without the faults of its code; models chosen on validation",
        ),
    )
}

SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="full",
            description="the paper's sizes: ResNet-50 at 224 px, 200 epochs; free weights not from ImageNet yet",
            architecture="resnet50",
            store_px=250,
            size_px=224,
            ssl_fps=1,
            feature_fps=5,
            queue_size=2048,
            batch_size=128,
            student_epochs=200,
            teacher_epochs=200,
            learning_rate=0.01,
            precision="bf16",
            probe_every_epochs=10,
            generic_images=100_000,
            generic_epochs=200,
            finetune_epochs=10,
            temporal_layers=12,
            temporal_maps=64,
            temporal_epochs=100,
        ),
        Scale(
            name="demo",
            description="minutes on two CPU cores: a small ResNet at 48 px on synthetic videos",
            architecture="resnet10",
            width=32,
            store_px=64,
            size_px=48,
            ssl_fps=5,
            feature_fps=5,
            queue_size=1024,
            momentum=0.996,
            batch_size=64,
            student_epochs=10,
            teacher_epochs=4,
            learning_rate=0.03,
            precision="fp32",
            probe_every_epochs=1,
            generic_images=4096,
            generic_epochs=6,
            finetune_epochs=20,
            temporal_layers=8,
            temporal_maps=32,
            temporal_epochs=40,
            temporal_learning_rate=2e-3,
            temporal_halve_after=(20, 30),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What every trial of a study has in common: the protocol, the sizes and the data."""

    preset: Preset
    scale: Scale
    dataset: Dataset

    def having(self, **values: object) -> "Conditions":
        """The same conditions with other values for fields of the preset or the scale; None leaves a field as it is."""
        changed = {name: value for name, value in values.items() if value is not None}
        preset = {name: value for name, value in changed.items() if name in Preset.__dataclass_fields__}
        scale = {name: value for name, value in changed.items() if name not in preset}
        return replace(self, preset=replace(self.preset, **preset), scale=replace(self.scale, **scale))  # type: ignore[arg-type]

    def videos(self) -> Split[Video]:
        """The dataset's videos, ingested at this scale, on their sides of the preset's split."""
        videos = self.dataset.videos(fps=self.scale.feature_fps, size_px=self.scale.store_px)
        divide = official if self.preset.split == "official" else selection
        return divide(videos, subsets=self.dataset.subsets)

    def sample_every(self, fps: float) -> int:
        """How many source frames lie between rows at a rate."""
        return round(NOMINAL_FPS / fps)
