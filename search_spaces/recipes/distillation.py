"""Recipes of distilled self-supervision, and of MoCo v2 without a teacher."""

from typing import Unpack

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.building_blocks import (
    Contrastive,
    adapted_teacher,
    contrastive,
    on_surgical_frames,
)
from search_spaces.recipes.free_models import teacher_start
from search_spaces.recipes.recognition import recognition
from search_spaces.recipes.settings import MoCoSettings, TeacherSettings
from study.core.recipe import named_settings
from trainers.evaluation.evaluate import Evaluate
from trainers.fields import Temperature, Weight
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import EncoderStage, Trains
from trainers.ssl.method import MethodConfig
from trainers.ssl.moco import MoCo


class Distilling(Contrastive):
    """Fields that the paper's student and that of the authors' code have in common."""

    teacher: EncoderStage
    embedding_size: int
    distillation_weight: float
    contrastive_weight: float
    teacher_temperature: float | None


@named_settings
def distilled(
    conditions: Conditions,
    *,
    seed: int,
    teacher_trains: Trains = "head",
    distillation_weight: Weight | None = None,
    contrastive_weight: Weight | None = None,
    teacher_temperature: Temperature | None = None,
    **settings: Unpack[TeacherSettings],
) -> Evaluate:
    """Distilled self-supervision: free weights, a teacher adapted to surgical frames, the student it teaches.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        teacher_trains: part of the teacher that is trained on surgical frames.
        distillation_weight: λ; the preset's where None.
        contrastive_weight: factor of L_con in the total loss; the preset's where None.
        teacher_temperature: τ of the teacher's softmax alone; the student's where None.
        **settings: those of MoCo v2 with a teacher.
    """
    preset, contrast = conditions.preset, contrastive(conditions, settings)
    if distillation_weight is None:
        distillation_weight = preset.distillation_weight
    if contrastive_weight is None:
        contrastive_weight = preset.contrastive_weight
    teacher = teacher_start(conditions, settings)
    if teacher_trains != "none":
        teacher = adapted_teacher(conditions, teacher, teacher_trains, seed, settings)
    config: Distilling = {
        "teacher": teacher,
        "embedding_size": teacher.output_size,
        "distillation_weight": distillation_weight,
        "contrastive_weight": contrastive_weight,
        # The student's own τ is None, set or not: equal stages are one stage.
        "teacher_temperature": None if teacher_temperature == contrast["temperature"] else teacher_temperature,
        **contrast,
    }
    method: MethodConfig = DistilledMoCo(**config)
    if preset.moving_teacher or preset.queues_apart or preset.shuffles_apart:
        method = AuthorsStudent(
            moving_teacher=preset.moving_teacher,
            queues_apart=preset.queues_apart,
            shuffles_apart=preset.shuffles_apart,
            **config,
        )
    student = on_surgical_frames(conditions, method, seed, settings)
    return recognition(conditions, student, seed, settings)


@named_settings
def moco(conditions: Conditions, *, seed: int, **settings: Unpack[MoCoSettings]) -> Evaluate:
    """MoCo v2 on surgical frames from a random start: the student without its teacher."""
    student = on_surgical_frames(conditions, MoCo(**contrastive(conditions, settings)), seed, settings)
    return recognition(conditions, student, seed, settings)
