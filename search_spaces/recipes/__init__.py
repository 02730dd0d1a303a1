"""Recipes: functions from hyperparameters to the last stage of a trial, and the stages that they are made of.

A recipe is a function `(conditions, *, seed, **hyperparameters)`. A hyperparameter that is left out, or None, takes the
value of the preset (the protocol) or the scale (the sizes). Stages that come out equal are one stage: trials share
whatever their hyperparameters do not touch.
"""

from search_spaces.recipes.attribution import distilled_with_difference
from search_spaces.recipes.baselines import majority_class, public_features, scratch, supervised_features, untrained
from search_spaces.recipes.building_blocks import (
    adapted_teacher,
    free_weights,
    on_surgical_frames,
    public_start,
    supervised_weights,
)
from search_spaces.recipes.distillation import distilled, moco
from search_spaces.recipes.distillation_terms import compress_distilled, disco_distilled, seed_distilled
from search_spaces.recipes.free_models import free_model_named, teacher_start
from search_spaces.recipes.recognition import evaluated, recognition
from search_spaces.recipes.rivals import combined, initialised, regioncl, simsiam, swav
from search_spaces.recipes.settings import (
    DataSettings,
    LabelSettings,
    MoCoSettings,
    QueueSettings,
    StudentSettings,
    TeacherSettings,
    TrainingSettings,
)

__all__ = [
    "DataSettings",
    "LabelSettings",
    "MoCoSettings",
    "QueueSettings",
    "StudentSettings",
    "TeacherSettings",
    "TrainingSettings",
    "adapted_teacher",
    "combined",
    "compress_distilled",
    "disco_distilled",
    "distilled",
    "distilled_with_difference",
    "evaluated",
    "free_model_named",
    "free_weights",
    "initialised",
    "majority_class",
    "moco",
    "on_surgical_frames",
    "public_features",
    "public_start",
    "recognition",
    "regioncl",
    "scratch",
    "seed_distilled",
    "simsiam",
    "supervised_features",
    "supervised_weights",
    "swav",
    "teacher_start",
    "untrained",
]
