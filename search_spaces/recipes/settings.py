"""Groups of hyperparameters that several recipes share, as types of their `**settings`.

A value that is left out, or None, is the preset's (the protocol) or the scale's (the sizes).
"""

from typing import Literal, TypedDict

from search_spaces.protocol.presets import SplitName
from trainers.fields import BatchSize, Count, Epochs, LearningRate, Momentum, Precision, Share, Temperature, Weight
from trainers.networks.architectures import ArchitectureName

FineTuneMode = Literal["linear", "full"]
Stretches = Literal["left_out", "kept"]


class DataSettings(TypedDict, total=False):
    """Videos and labels of a trial."""

    split: SplitName | None
    """Division into videos that train, validate and test: `selection`, `official`, or a fold such as `fold3of5`."""
    label_fraction: Share | None
    """Fraction of the training videos whose labels fine-tuning and the temporal model see."""
    precision: Precision | None
    """Precision of pre-training on surgical frames, of features and of fine-tuning: fp32 or bf16."""


class LabelSettings(DataSettings, total=False):
    """Use of labelled frames."""

    finetune_mode: FineTuneMode | None
    """Layers that are fine-tuned on labelled frames: the classifier alone, or all."""


class StudentSettings(LabelSettings, total=False):
    """Settings of self-supervised pre-training that methods with an optimiser of their own have too."""

    stretches: Stretches | None
    """Long black or frozen stretches of videos: left out of pre-training, the usual, or kept in it."""

    architecture: ArchitectureName | None
    """Architecture of the student, such as `resnet18` or `timm:convnext_tiny`; the scale's where it is not set."""
    student_epochs: Epochs | None
    """Passes of the student over the frames."""
    weight_decay: Weight | None
    """Weight decay of pre-training, of teacher and student; that of the method's paper where it is not set."""


class TrainingSettings(StudentSettings, total=False):
    """Optimisation of self-supervised pre-training."""

    learning_rate: LearningRate | None
    """Learning rate of pre-training, of teacher and student, at the start."""
    batch_size: BatchSize | None
    """Frames per step of pre-training, over all workers."""
    batch_norm_splits: BatchSize | None
    """Parts of a batch with normalisation statistics of their own."""


class QueueSettings(TrainingSettings, total=False):
    """Dictionary of a method with a queue and a key encoder."""

    queue_size: Count | None
    """K, the number of keys in the queue, of teacher and student."""
    queue_batches: Count | None
    """K in batches, in place of `queue_size`."""
    momentum: Momentum | None
    """m of the key encoders."""


class MoCoSettings(QueueSettings, total=False):
    """Hyperparameters of MoCo v2."""

    temperature: Temperature | None
    """τ, of teacher and student together."""


class TeacherSettings(MoCoSettings, total=False):
    """Hyperparameters of MoCo v2 with a teacher."""

    teacher_epochs: Epochs | None
    """Passes of the teacher over the frames."""
    free_model: str | None
    """Free model that the teacher is made of: the name of public weights, or of a stand-in; by preset if not set."""


USUAL: TeacherSettings = {}
"""No setting: everything as the preset and the scale have it."""
