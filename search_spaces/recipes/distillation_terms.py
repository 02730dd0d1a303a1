"""Recipes of students that learn from the teacher of `distilled` by another term than the paper's KL."""

from typing import Unpack

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.building_blocks import (
    adapted_teacher,
    contrastive,
    dictionary,
    given,
    on_surgical_frames,
)
from search_spaces.recipes.free_models import teacher_start
from search_spaces.recipes.recognition import recognition
from search_spaces.recipes.settings import TeacherSettings
from study.core.recipe import named_settings
from trainers.evaluation.evaluate import Evaluate
from trainers.fields import Temperature, Weight
from trainers.ssl.compress import CompRess
from trainers.ssl.disco import DisCo
from trainers.ssl.encoders import EncoderStage
from trainers.ssl.method import MethodConfig
from trainers.ssl.seed import SEED


@named_settings
def seed_distilled(
    conditions: Conditions,
    *,
    seed: int,
    seed_temperature: Temperature = 0.2,
    seed_teacher_temperature: Temperature = 0.01,
    **settings: Unpack[TeacherSettings],
) -> Evaluate:
    """SEED's student, with the teacher of `distilled`: soft cross-entropy on one queue that the teacher fills.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        seed_temperature: τ of the student's softmax.
        seed_teacher_temperature: τ of the teacher's softmax, while it teaches.
        **settings: those of MoCo v2 with a teacher; of its τ, that of the teacher's own training alone.
    """
    teacher = _teacher(conditions, seed, settings)
    method = SEED(
        teacher=teacher,
        student_temperature=seed_temperature,
        teacher_temperature=seed_teacher_temperature,
        queue_size=dictionary(conditions, settings)["queue_size"],
        embedding_size=teacher.output_size,
    )
    return _student(conditions, method, seed, settings)


@named_settings
def compress_distilled(
    conditions: Conditions, *, seed: int, anchor_temperature: Temperature = 0.04, **settings: Unpack[TeacherSettings]
) -> Evaluate:
    """CompRess's student, with the teacher of `distilled`: KL over other frames, without a positive.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        anchor_temperature: τ of both softmaxes over anchor points.
        **settings: those of MoCo v2 with a teacher; of its τ, that of the teacher's own training alone.
    """
    teacher = _teacher(conditions, seed, settings)
    method = CompRess(teacher=teacher, temperature=anchor_temperature, **dictionary(conditions, settings))
    return _student(conditions, method, seed, settings)


@named_settings
def disco_distilled(
    conditions: Conditions,
    *,
    seed: int,
    distillation_weight: Weight = 1.0,
    contrastive_weight: Weight | None = None,
    **settings: Unpack[TeacherSettings],
) -> Evaluate:
    """DisCo's student, with the teacher of `distilled`: InfoNCE, and the distance between embeddings.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        distillation_weight: factor of the squared distance.
        contrastive_weight: factor of L_con; the preset's where None.
        **settings: those of MoCo v2 with a teacher.
    """
    teacher = _teacher(conditions, seed, settings)
    method = DisCo(
        teacher=teacher,
        distillation_weight=distillation_weight,
        contrastive_weight=given(contrastive_weight, conditions.preset.contrastive_weight),
        embedding_size=teacher.output_size,
        **contrastive(conditions, settings),
    )
    return _student(conditions, method, seed, settings)


def _teacher(conditions: Conditions, seed: int, settings: TeacherSettings) -> EncoderStage:
    """The teacher of `distilled`, whose head is trained on surgical frames."""
    return adapted_teacher(conditions, teacher_start(conditions, settings), "head", seed, settings)


def _student(conditions: Conditions, method: MethodConfig, seed: int, settings: TeacherSettings) -> Evaluate:
    return recognition(conditions, on_surgical_frames(conditions, method, seed, settings), seed, settings)
