"""Recipe of distillation in which single parts of the protocol are those of the authors' code."""

from dataclasses import replace
from typing import Literal, Unpack

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.differences import ALL_NAMES, DifferenceName, with_differences
from search_spaces.recipes.distillation import distilled
from search_spaces.recipes.settings import TeacherSettings
from study.core.recipe import named_settings
from trainers.evaluation.evaluate import Evaluate


@named_settings
def distilled_with_difference(
    conditions: Conditions,
    *,
    seed: int,
    difference: DifferenceName | Literal["none", "all"] = "none",
    **settings: Unpack[TeacherSettings],
) -> Evaluate:
    """The student of `distilled`, under a preset of which one part, or all, is as in the authors' code.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        difference: what is as in preset `official_code`; everything else is as in the preset of the conditions.
        **settings: those of MoCo v2 with a teacher.
    """
    names = ALL_NAMES if difference == "all" else (difference,)
    preset = with_differences(conditions.preset, names)
    return distilled(replace(conditions, preset=preset), seed=seed, **settings)
