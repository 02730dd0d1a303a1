"""Named searches: their axes, first points, and objectives."""

from collections.abc import Mapping

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import distilled
from search_spaces.searches.objectives import ON_FOLDS, ON_VALIDATION
from search_spaces.studies.table3 import table3
from study import Choice
from study.search.domains import LogUniform, OrNone, PowerOfTwo, When
from study.search.objective import Objective
from study.search.space import Search


def batch_size(conditions: object, settings: Mapping[str, object]) -> int:
    """Frames per step, the unit of queues."""
    return _number("batch_size", conditions, settings)


def quarter_of_teacher_epochs(conditions: object, settings: Mapping[str, object]) -> int:
    """A quarter of the epochs that the scale gives a teacher; a half, or all, where a quarter is no whole number.

    Powers of two times this number then include the scale's own.
    """
    epochs = _number("teacher_epochs", conditions, settings)
    return next(epochs // parts for parts in (4, 2, 1) if epochs % parts == 0)


def objective_under(conditions: object, settings: Mapping[str, object]) -> Objective:
    """Folds, where features depend on no label and trials learn from all labels; else the validation videos alone."""
    assert isinstance(conditions, Conditions)
    preset = conditions.preset
    mode = settings.get("finetune_mode") or preset.finetune_mode
    fraction = settings.get("label_fraction") or preset.label_fraction
    return ON_FOLDS if mode == "linear" and fraction == 1 else ON_VALIDATION


def usual_point(conditions: object, settings: Mapping[str, object]) -> Mapping[str, object]:
    """The values of the preset and the scale, with the teacher that the paper proposes."""
    assert isinstance(conditions, Conditions)
    preset, scale = conditions.preset, conditions.scale
    return {
        "distillation_weight": preset.distillation_weight,
        "temperature": preset.temperature,
        "queue_size": scale.queue_size,
        "momentum": scale.momentum,
        "teacher_trains": "head",
        "teacher_epochs": scale.teacher_epochs,
    }


search_distilled = Search(
    name="distilled",
    title="Which settings of distilled self-supervision are best?",
    question=(
        "The paper fixes λ = 5, τ = 0.07, K = 2048 and m = 0.999, and varies the teacher alone. "
        "Are they best together, and does the best teacher depend on them?"
    ),
    recipe=distilled,
    axes={
        "distillation_weight": LogUniform(0.1, 50),
        "temperature": LogUniform(0.02, 0.5),
        "teacher_temperature": OrNone(LogUniform(0.02, 0.5)),
        "queue_size": PowerOfTwo(1, 64, batch_size),
        "momentum": Choice((0.9, 0.97, 0.99, 0.996, 0.999, 0.9997)),
        "teacher_trains": Choice(("none", "head", "backbone", "all")),
        "teacher_epochs": When(
            "teacher_trains", ("head", "backbone", "all"), PowerOfTwo(1, 4, quarter_of_teacher_epochs)
        ),
    },
    objective=ON_FOLDS,
    objective_under=objective_under,
    evaluated_in=table3.name,
    initial_point=usual_point,
)
"""λ, τ, K, m and the teacher of Ding et al., MICCAI 2022, together.

The key encoder averages over 1/(1-m) steps: the values of m are spaced evenly, on a log scale, from 10 to 3333 steps.
"""

SEARCHES = {search.name: search for search in (search_distilled,)}


def _number(name: str, conditions: object, settings: Mapping[str, object]) -> int:
    assert isinstance(conditions, Conditions)
    value = settings.get(name)
    if value is None:
        value = getattr(conditions.scale, name)
    assert isinstance(value, int)
    return value
