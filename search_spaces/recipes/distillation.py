"""Recipes: functions from hyperparameters to the last stage of a trial.

An argument left `None` takes the value of the preset (the protocol) or the scale (the sizes). Stages that come out
equal are one stage, so that trials share whatever their hyperparameters do not touch. The rivals of distillation are
in `rivals.py`, the stages that all are made of in `stages.py`.
"""

from typing import Literal

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import SplitName
from search_spaces.recipes.building_blocks import (
    adapted_teacher,
    distillation,
    evaluated,
    free_weights,
    moco_method,
    network,
    on_surgical_frames,
    recognition,
    supervised_weights,
    teacher_start,
)
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.baselines import MajorityClass
from trainers.recognition.finetune import LEARNING_RATES
from trainers.ssl.encoders import Trains
from trainers.ssl.pretrain import Untrained
from trainers.stage import InputError

FineTuneMode = Literal["linear", "full"]


def distilled(
    conditions: Conditions,
    *,
    seed: int,
    teacher_trains: Trains = "head",
    distillation_weight: float | None = None,
    contrastive_weight: float | None = None,
    temperature: float | None = None,
    teacher_temperature: float | None = None,
    queue_size: int | None = None,
    queue_batches: int | None = None,
    momentum: float | None = None,
    learning_rate: float | None = None,
    student_epochs: int | None = None,
    teacher_epochs: int | None = None,
    batch_size: int | None = None,
    batch_norm_splits: int | None = None,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """Distilled self-supervision: free weights, a teacher adapted to surgical frames, the student it teaches.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        teacher_trains: what of the teacher is trained on surgical frames.
        distillation_weight: λ.
        contrastive_weight: factor of L_con in the total loss.
        temperature: τ, of teacher and student together.
        teacher_temperature: τ of the teacher's softmax alone.
        queue_size: K, of teacher and student.
        queue_batches: K in batches, instead.
        momentum: m of the key encoders.
        learning_rate: of teacher and student, at the start.
        student_epochs: passes of the student over the frames.
        teacher_epochs: passes of the teacher over the frames.
        batch_size: frames per step, over all workers.
        batch_norm_splits: parts of a batch with normalisation statistics of their own.
        split: which videos train, validate and test.
        finetune_mode: what is fine-tuned on labelled frames: the classifier alone, or every layer.
        label_fraction: of the training videos, whose labels fine-tuning and the temporal model see.
    """
    free = teacher_start(conditions)
    conditions = conditions.having(
        distillation_weight=distillation_weight,
        contrastive_weight=contrastive_weight,
        temperature=temperature,
        momentum=momentum,
        learning_rate=learning_rate,
        student_epochs=student_epochs,
        teacher_epochs=teacher_epochs,
        batch_size=batch_size,
        batch_norm_splits=batch_norm_splits,
        split=split,
    )
    conditions = labelled_as(with_queue(conditions, queue_size, queue_batches), finetune_mode, label_fraction)
    teacher = free if teacher_trains == "none" else adapted_teacher(conditions, free, teacher_trains, seed)
    student = on_surgical_frames(conditions, distillation(conditions, teacher, teacher_temperature), seed)
    return recognition(conditions, student, seed)


def moco(
    conditions: Conditions,
    *,
    seed: int,
    temperature: float | None = None,
    queue_size: int | None = None,
    queue_batches: int | None = None,
    momentum: float | None = None,
    learning_rate: float | None = None,
    student_epochs: int | None = None,
    batch_size: int | None = None,
    batch_norm_splits: int | None = None,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """MoCo v2 on surgical frames from a random start: the student without its teacher. Arguments as in `distilled`."""
    conditions = conditions.having(
        temperature=temperature,
        momentum=momentum,
        learning_rate=learning_rate,
        student_epochs=student_epochs,
        batch_size=batch_size,
        batch_norm_splits=batch_norm_splits,
        split=split,
    )
    conditions = labelled_as(with_queue(conditions, queue_size, queue_batches), finetune_mode, label_fraction)
    student = on_surgical_frames(conditions, moco_method(conditions), seed)
    return recognition(conditions, student, seed)


def public_features(
    conditions: Conditions,
    *,
    seed: int,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """The free weights as they are, never pre-trained on surgical frames."""
    conditions = labelled_as(conditions.having(split=split), finetune_mode, label_fraction)
    return recognition(conditions, free_weights(conditions), seed)


def supervised_features(
    conditions: Conditions,
    *,
    seed: int,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """Supervised public weights as they are, never pre-trained on surgical frames."""
    conditions = labelled_as(conditions.having(split=split), finetune_mode, label_fraction)
    return recognition(conditions, supervised_weights(conditions), seed, classifier_start="default")


def scratch(
    conditions: Conditions,
    *,
    seed: int,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode = "full",
    label_fraction: float | None = None,
) -> Evaluate:
    """No pre-training: every layer learns from labelled frames alone, from a random start."""
    conditions = labelled_as(conditions.having(split=split), finetune_mode, label_fraction)
    start = Untrained(backbone=network(conditions), seed=seed)
    return recognition(conditions, start, seed, classifier_start="default")


def untrained(
    conditions: Conditions,
    *,
    seed: int,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """A backbone at its random start: what any training is worth shows against it."""
    conditions = labelled_as(conditions.having(split=split), finetune_mode, label_fraction)
    return recognition(conditions, Untrained(backbone=network(conditions), seed=seed), seed)


def majority_class(
    conditions: Conditions, *, seed: int, split: SplitName | None = None, label_fraction: float | None = None
) -> Evaluate:
    """The most frequent phase of the labelled training videos, everywhere."""
    conditions = conditions.having(split=split, label_fraction=label_fraction)
    predictions = MajorityClass(
        training_videos=conditions.labelled_videos(seed),
        test_videos=conditions.videos().test,
        sample_fps=conditions.scale.feature_fps,
    )
    return evaluated(conditions, predictions)


def with_queue(conditions: Conditions, queue_size: int | None, queue_batches: int | None) -> Conditions:
    """The conditions with K, where it is given in keys or in batches.

    Raises:
        InputError: it is given in both.
    """
    if queue_batches is None:
        return conditions.having(queue_size=queue_size)
    if queue_size is not None:
        raise InputError(f"queue_size is {queue_size} and queue_batches is {queue_batches}: both say K, give one.")
    return conditions.having(queue_size=queue_batches * conditions.scale.batch_size)


def labelled_as(conditions: Conditions, finetune_mode: FineTuneMode | None, label_fraction: float | None) -> Conditions:
    """The conditions with another use of labels: what they train, at its usual rate, and how many of them there are."""
    if finetune_mode is not None:
        rate = LEARNING_RATES[finetune_mode]
        conditions = conditions.having(finetune_mode=finetune_mode, finetune_learning_rate=rate)
    return conditions.having(label_fraction=label_fraction)
