"""A user's study with a recipe of this repository: does a warmer teacher help, and does it depend on λ?

Run it with `freelunch run docs/examples/my_study.py:my_study --scale demo`; docs/own-study.md explains it.
"""

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import distilled, moco
from study import Choice, Curve, Row, Study
from trainers.evaluation.evaluate import Evaluate

STUDENTS_TEMPERATURE = 0.07


def warmed(
    conditions: Conditions, *, seed: int, warmth: float = 1.0, distillation_weight: float | None = None
) -> Evaluate:
    """Distillation from a teacher whose temperature is `warmth` times the student's.

    A condition between hyperparameters is Python: where λ is 0 there is no teacher, so its warmth changes nothing, and
    the trial is MoCo v2, which other studies may have computed already.
    """
    if distillation_weight == 0:
        return moco(conditions, seed=seed, temperature=STUDENTS_TEMPERATURE)
    return distilled(
        conditions,
        seed=seed,
        temperature=STUDENTS_TEMPERATURE,
        teacher_temperature=warmth * STUDENTS_TEMPERATURE,
        distillation_weight=distillation_weight,
    )


my_study = Study(
    name="my_study",
    title="How warm should the teacher be?",
    question="A teacher's softmax at a temperature of its own says more, or less, of frames that are merely alike.",
    recipe=warmed,
    axes={"warmth": Choice((0.5, 1.0, 2.0), ("half as warm", "as warm as the student", "twice as warm"))},
    rows=(
        Row(name="gentle", title="as warm, λ = 1", parameters={"distillation_weight": 1.0}),
        Row(name="alone", title="no teacher", parameters={"distillation_weight": 0.0}, baseline=True),
    ),
    reference="1.0",
    curve=Curve(axis="warmth", title="temperature of the teacher over that of the student", log=True),
)
