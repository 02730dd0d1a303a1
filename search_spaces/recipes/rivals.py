"""Recipes that distillation is compared with: other self-supervised methods, other ways to transfer a teacher."""

from typing import Unpack

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.building_blocks import (
    adapted_teacher,
    contrastive,
    dictionary,
    given,
    network,
    on_surgical_frames,
    precision,
    public_start,
)
from search_spaces.recipes.free_models import teacher_start
from search_spaces.recipes.recognition import recognition
from search_spaces.recipes.settings import MoCoSettings, QueueSettings, StudentSettings, TeacherSettings
from study.core.recipe import named_settings
from trainers.data.augmentation import MoCoAugmentation, MultiCropAugmentation
from trainers.evaluation.evaluate import Evaluate
from trainers.fields import Channels, LearningRate, Positive, Temperature, Weight
from trainers.networks.architectures import AnyBackbone
from trainers.ssl.larc import LARCOptimisation
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.regioncl import RegionCL
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.swav import SwAV
from trainers.ssl.transfer import Combination, CombinedMoCo

RATES_PER_FRAMES = 256
"""Batch size at which the papers of SwAV and SimSiam give their learning rates, which grow in proportion to it."""


@named_settings
def swav(
    conditions: Conditions,
    *,
    seed: int,
    num_prototypes: Channels | None = None,
    prototype_temperature: Temperature = 0.1,
    epsilon: Positive | None = None,
    base_learning_rate: LearningRate = 0.6,
    **settings: Unpack[StudentSettings],
) -> Evaluate:
    """SwAV on surgical frames, with its own augmentation and optimiser.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        num_prototypes: number of clusters; the scale's where None.
        prototype_temperature: τ of the softmax over prototypes.
        epsilon: ε of the Sinkhorn-Knopp algorithm; the scale's where None.
        base_learning_rate: at the start, for a batch of 256 frames.
        **settings: epochs, weight decay, videos and labels.
    """
    scale, sizes = conditions.scale, conditions.scale.rivals
    method = SwAV(
        num_prototypes=given(num_prototypes, sizes.num_prototypes),
        temperature=prototype_temperature,
        epsilon=given(epsilon, sizes.swav_epsilon),
        queue_size=sizes.swav_queue_size,
        queue_from_epoch=sizes.swav_queue_from_epoch,
    )
    rate = base_learning_rate * sizes.swav_batch_size / RATES_PER_FRAMES
    student = on_surgical_frames(
        conditions,
        method,
        seed,
        {"split": settings.get("split"), "stretches": settings.get("stretches")},
        optimisation=LARCOptimisation(
            epochs=conditions.epochs(settings.get("student_epochs"), scale.student_epochs),
            batch_size=sizes.swav_batch_size,
            learning_rate=rate,
            weight_decay=given(settings.get("weight_decay"), LARCOptimisation.weight_decay),
            final_learning_rate=rate / 1000,
            precision=precision(conditions, settings),
        ),
        augmentation=MultiCropAugmentation(
            size_px=scale.size_px, num_small=sizes.num_small_crops, small_size_px=sizes.small_crop_px
        ),
        backbone=_synchronised(conditions, settings),
    )
    return recognition(conditions, student, seed, settings)


@named_settings
def simsiam(
    conditions: Conditions,
    *,
    seed: int,
    base_learning_rate: LearningRate | None = None,
    **settings: Unpack[StudentSettings],
) -> Evaluate:
    """SimSiam on surgical frames, with its own optimiser. Arguments as in `swav`."""
    sizes = conditions.scale.rivals
    rate = given(base_learning_rate, sizes.simsiam_base_learning_rate)
    student = on_surgical_frames(
        conditions,
        SimSiam(),
        seed,
        {"split": settings.get("split"), "stretches": settings.get("stretches")},
        optimisation=Optimisation(
            epochs=conditions.epochs(settings.get("student_epochs"), sizes.simsiam_epochs),
            batch_size=sizes.simsiam_batch_size,
            learning_rate=rate * sizes.simsiam_batch_size / RATES_PER_FRAMES,
            weight_decay=given(settings.get("weight_decay"), Optimisation.weight_decay),
            precision=precision(conditions, settings),
        ),
        backbone=_synchronised(conditions, settings),
    )
    return recognition(conditions, student, seed, settings)


@named_settings
def regioncl(
    conditions: Conditions,
    *,
    seed: int,
    temperature: Temperature = 0.2,
    region_weight: Weight = 1.0,
    **settings: Unpack[QueueSettings],
) -> Evaluate:
    """RegionCL-M on surgical frames.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        temperature: τ.
        region_weight: factor of the regions' loss.
        **settings: those of a method with a queue.
    """
    sizes = conditions.scale.rivals
    smallest, largest = sizes.region_cells
    method = RegionCL(
        temperature=temperature,
        region_weight=region_weight,
        smallest_region=smallest,
        largest_region=largest,
        **dictionary(conditions, settings),
    )
    augmentation = MoCoAugmentation(size_px=sizes.region_size_px)
    student = on_surgical_frames(conditions, method, seed, settings, augmentation=augmentation)
    return recognition(conditions, student, seed, settings)


@named_settings
def combined(
    conditions: Conditions, *, seed: int, combination: Combination = "sum", **settings: Unpack[MoCoSettings]
) -> Evaluate:
    """A student that learns beside the frozen free backbone, their features summed or concatenated.

    The paper's teacher has the free backbone too, for only its head is trained. It is taken as it is published, its
    running statistics included, under every preset: nothing is known of how the authors ran these rows.
    """
    teacher = public_start(conditions)
    method = CombinedMoCo(teacher=teacher, combination=combination, **contrastive(conditions, settings))
    return recognition(conditions, on_surgical_frames(conditions, method, seed, settings), seed, settings)


@named_settings
def initialised(conditions: Conditions, *, seed: int, **settings: Unpack[TeacherSettings]) -> Evaluate:
    """MoCo v2 on surgical frames that starts from the weights of the teacher of `distilled`."""
    teacher = adapted_teacher(conditions, teacher_start(conditions, settings), "head", seed, settings)
    method = MoCo(start=teacher, embedding_size=teacher.output_size, **contrastive(conditions, settings))
    return recognition(conditions, on_surgical_frames(conditions, method, seed, settings), seed, settings)


def _synchronised(conditions: Conditions, settings: StudentSettings) -> AnyBackbone:
    """The backbone, normalised over the whole batch."""
    return network(conditions, {"architecture": settings.get("architecture")}).without_splits()
