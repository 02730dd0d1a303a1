"""Presets: protocols of an experiment, independent of its size."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeGuard

from trainers.fields import Form, Precision
from trainers.names import FOLD_PATTERN, fold_named
from trainers.networks.backbones import RunningStatistics
from trainers.recognition.authors_code import AccuracyOver

FoldName = Annotated[str, Form(FOLD_PATTERN, "a fold such as fold3of5, or fold3of5r2 of the second drawing")]
SplitName = Literal["selection", "official"] | FoldName
Choosing = Literal["validation", "last", "test"]
"""Epoch that is kept: the best on the validation videos, the last, or the best on the test videos."""


def is_split(value: object) -> TypeGuard[SplitName | None]:
    """Whether a value names a split; None is that of the preset."""
    return value in (None, "selection", "official") or fold_named(value) is not None


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Protocol of an experiment, at every size.

    Attributes:
        temperature: τ.
        distillation_weight: λ, factor of L_dis in the total loss.
        contrastive_weight: factor of L_con in the total loss.
        batch_norm_splits: number of parts of a batch, each with its own normalisation statistics.
        running_statistics: from all parts, or from the first.
        teacher_start: which public weights the teacher starts from.
        start_running_statistics: whether the teacher starts with their running statistics too; with 0 and 1 where not.
        heads_apart: whether the teacher's query and key head start from separate draws, not from the public head.
        teacher_batch_statistics: whether the teacher's frozen backbone is in train mode while its head is trained.
        moving_teacher: whether the teacher is in train mode, and its key encoder follows, while the student is trained.
        queues_apart: whether teacher and student have queues and pointers of their own.
        shuffles_apart: whether teacher and student shuffle the batch each in an order of their own.
        precision: of pre-training on surgical frames, of features and of fine-tuning; the scale's where None.
        training_fps: rate of the frames that pre-training, probe and fine-tuning see; the scale's where None.
        finetune_mode: what is fine-tuned on labelled frames.
        finetune_learning_rate: of Adam there, at the start.
        normalised_input: whether fine-tuning and features see frames normalised as pre-training does.
        new_optimiser_every_epoch: whether Adam is made new every epoch, in fine-tuning and in the temporal model.
        split: which videos train, validate and test.
        label_fraction: fraction of the training videos whose labels fine-tuning and the temporal model see.
        selection: which epoch of the fine-tuned and of the temporal model is kept.
        temporal_stages: stages of the temporal model.
        dropout_in_first_epoch_only: whether the temporal model's dropout is off after its first epoch.
        temporal_accuracy_over: whether the temporal model's epoch is chosen by the mean accuracy of the videos, or by
            the accuracy over all of their frames.
        as_long_as_annotated: whether predictions are cut or continued to the length of the annotation.
        zero_std_of_one: whether the standard deviation over a single video or phase is 0; it is undefined where not.
        relaxed_fps: rate that the relaxed metrics' window of 10 s is counted at; that of the rows where None.
    """

    name: str
    description: str
    temperature: float = 0.07
    distillation_weight: float = 5.0
    contrastive_weight: float = 1.0
    batch_norm_splits: int = 4
    running_statistics: RunningStatistics = "mean"
    teacher_start: Literal["self-supervised", "supervised"] = "self-supervised"
    start_running_statistics: bool = True
    heads_apart: bool = False
    teacher_batch_statistics: bool = False
    moving_teacher: bool = False
    queues_apart: bool = False
    shuffles_apart: bool = False
    precision: Precision | None = None
    training_fps: float | None = None
    finetune_mode: Literal["linear", "full"] = "linear"
    finetune_learning_rate: float = 1e-2
    normalised_input: bool = True
    new_optimiser_every_epoch: bool = False
    split: Literal["selection", "official"] = "selection"
    label_fraction: float = 1.0
    selection: Choosing = "validation"
    temporal_stages: int = 2
    dropout_in_first_epoch_only: bool = False
    temporal_accuracy_over: AccuracyOver = "videos"
    as_long_as_annotated: bool = False
    zero_std_of_one: bool = False
    relaxed_fps: float | None = None

    @property
    def stamp(self) -> str | None:
        """Warning that belongs to every result of this protocol."""
        return "selected on test" if self.selection == "test" else None


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="corrected",
            description="what the paper evidently means, without the faults of its code; models chosen on validation",
        ),
        Preset(
            name="paper",
            description="the paper's equations to the letter, at 5 fps throughout; all training videos, last epochs",
            training_fps=5,
            split="official",
            selection="last",
        ),
        Preset(
            name="official_code",
            description="what the authors' published code really does; models SELECTED ON TEST videos, as there",
            temperature=0.2,
            contrastive_weight=2.0,
            running_statistics="first",
            teacher_start="supervised",
            start_running_statistics=False,
            heads_apart=True,
            teacher_batch_statistics=True,
            moving_teacher=True,
            queues_apart=True,
            shuffles_apart=True,
            precision="fp32",
            finetune_mode="full",
            finetune_learning_rate=1e-4,
            normalised_input=False,
            new_optimiser_every_epoch=True,
            split="official",
            selection="test",
            temporal_stages=1,
            dropout_in_first_epoch_only=True,
            temporal_accuracy_over="frames",
            as_long_as_annotated=True,
            zero_std_of_one=True,
            relaxed_fps=25,
        ),
    )
}
