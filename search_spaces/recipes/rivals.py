"""Recipes of what distillation is compared with: other self-supervised methods, other ways to transfer a teacher."""

from dataclasses import replace

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import SplitName
from search_spaces.recipes.building_blocks import (
    adapted_teacher,
    moco_method,
    network,
    on_surgical_frames,
    public_start,
    recognition,
    teacher_start,
)
from search_spaces.recipes.distillation import FineTuneMode, labelled_as, with_queue
from trainers.data.augmentation import MoCoAugmentation, MultiCropAugmentation
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.backbones import Backbone
from trainers.ssl.larc import LARCOptimisation
from trainers.ssl.loop import Optimisation
from trainers.ssl.regioncl import RegionCL
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.swav import SwAV
from trainers.ssl.transfer import Combination, CombinedMoCo

RATES_PER_FRAMES = 256
"""Batch size at which the papers of SwAV and SimSiam give their learning rates, which grow in proportion to it."""


def swav(
    conditions: Conditions,
    *,
    seed: int,
    num_prototypes: int | None = None,
    prototype_temperature: float = 0.1,
    epsilon: float | None = None,
    base_learning_rate: float = 0.6,
    student_epochs: int | None = None,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """SwAV on surgical frames, with its own augmentation and optimiser.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        num_prototypes: number of clusters.
        prototype_temperature: τ of the softmax over prototypes.
        epsilon: ε of the Sinkhorn-Knopp algorithm.
        base_learning_rate: at the start, for a batch of 256 frames.
        student_epochs: passes over the frames.
        split: which videos train, validate and test.
        finetune_mode: what is fine-tuned on labelled frames: the classifier alone, or every layer.
        label_fraction: of the training videos, whose labels fine-tuning and the temporal model see.
    """
    conditions = conditions.having(student_epochs=student_epochs, split=split)
    conditions = labelled_as(conditions, finetune_mode, label_fraction)
    scale, sizes = conditions.scale, conditions.scale.rivals
    method = SwAV(
        num_prototypes=sizes.num_prototypes if num_prototypes is None else num_prototypes,
        temperature=prototype_temperature,
        epsilon=sizes.swav_epsilon if epsilon is None else epsilon,
        queue_size=sizes.swav_queue_size,
        queue_from_epoch=sizes.swav_queue_from_epoch,
    )
    rate = base_learning_rate * sizes.swav_batch_size / RATES_PER_FRAMES
    student = on_surgical_frames(
        conditions,
        method,
        seed,
        optimisation=LARCOptimisation(
            epochs=scale.student_epochs,
            batch_size=sizes.swav_batch_size,
            learning_rate=rate,
            final_learning_rate=rate / 1000,
            precision=scale.precision,
        ),
        augmentation=MultiCropAugmentation(
            size_px=scale.size_px, num_small=sizes.num_small_crops, small_size_px=sizes.small_crop_px
        ),
        backbone=_synchronised(conditions),
    )
    return recognition(conditions, student, seed)


def simsiam(
    conditions: Conditions,
    *,
    seed: int,
    base_learning_rate: float | None = None,
    student_epochs: int | None = None,
    split: SplitName | None = None,
    finetune_mode: FineTuneMode | None = None,
    label_fraction: float | None = None,
) -> Evaluate:
    """SimSiam on surgical frames, by its own recipe. Arguments as in `swav`."""
    conditions = labelled_as(conditions.having(split=split), finetune_mode, label_fraction)
    scale, sizes = conditions.scale, conditions.scale.rivals
    rate = sizes.simsiam_base_learning_rate if base_learning_rate is None else base_learning_rate
    student = on_surgical_frames(
        conditions,
        SimSiam(),
        seed,
        optimisation=Optimisation(
            epochs=sizes.simsiam_epochs if student_epochs is None else student_epochs,
            batch_size=sizes.simsiam_batch_size,
            learning_rate=rate * sizes.simsiam_batch_size / RATES_PER_FRAMES,
            precision=scale.precision,
        ),
        backbone=_synchronised(conditions),
    )
    return recognition(conditions, student, seed)


def regioncl(
    conditions: Conditions,
    *,
    seed: int,
    temperature: float = 0.2,
    region_weight: float = 1.0,
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
    """RegionCL-M on surgical frames; `region_weight` is that of the regions' loss, all else as in `distilled`."""
    conditions = conditions.having(
        momentum=momentum,
        learning_rate=learning_rate,
        student_epochs=student_epochs,
        batch_size=batch_size,
        batch_norm_splits=batch_norm_splits,
        split=split,
    )
    conditions = labelled_as(with_queue(conditions, queue_size, queue_batches), finetune_mode, label_fraction)
    scale, sizes = conditions.scale, conditions.scale.rivals
    smallest, largest = sizes.region_cells
    method = RegionCL(
        temperature=temperature,
        queue_size=scale.queue_size,
        momentum=scale.momentum,
        region_weight=region_weight,
        smallest_region=smallest,
        largest_region=largest,
    )
    augmentation = MoCoAugmentation(size_px=sizes.region_size_px)
    return recognition(conditions, on_surgical_frames(conditions, method, seed, augmentation=augmentation), seed)


def combined(
    conditions: Conditions,
    *,
    seed: int,
    combination: Combination = "sum",
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
    """A student that learns beside the frozen free backbone, their features summed or concatenated.

    The paper's teacher has the free backbone too, for only its head is trained. It is taken as it is published, its
    running statistics included, under every preset: nothing is known of how the authors ran these rows. Arguments as
    in `distilled`.
    """
    teacher = public_start(conditions)
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
    method = CombinedMoCo(
        teacher=teacher,
        combination=combination,
        temperature=conditions.preset.temperature,
        queue_size=conditions.scale.queue_size,
        momentum=conditions.scale.momentum,
    )
    return recognition(conditions, on_surgical_frames(conditions, method, seed), seed)


def initialised(
    conditions: Conditions,
    *,
    seed: int,
    temperature: float | None = None,
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
    """MoCo v2 on surgical frames that starts from the teacher's weights. Arguments as in `distilled`."""
    free = teacher_start(conditions)
    conditions = conditions.having(
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
    teacher = adapted_teacher(conditions, free, "head", seed)
    student = on_surgical_frames(conditions, moco_method(conditions, start=teacher), seed)
    return recognition(conditions, student, seed)


def _synchronised(conditions: Conditions) -> Backbone:
    """The backbone, normalised over the whole batch."""
    return replace(network(conditions), batch_norm_splits=1)
