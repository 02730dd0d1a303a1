"""A user's search: which learning rate, and how much distillation from how warm a teacher, on videos of one's own?

Run it with `freelunch search docs/examples/my_search.py:my_search --scale demo`; docs/search.md explains it.
"""

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import distilled, moco
from search_spaces.searches.distilled import objective_under
from search_spaces.searches.objectives import ON_FOLDS
from study import Choice, LogUniform, Row, Search, Study, Uniform, When
from trainers.evaluation.evaluate import Evaluate

STUDENTS_TEMPERATURE = 0.07


def warmed(
    conditions: Conditions,
    *,
    seed: int,
    teaches: bool = True,
    warmth: float = 1.0,
    distillation_weight: float | None = None,
    learning_rate: float | None = None,
) -> Evaluate:
    """Distillation from a teacher whose temperature is `warmth` times the student's, or MoCo v2 where none teaches."""
    if not teaches:
        return moco(conditions, seed=seed, temperature=STUDENTS_TEMPERATURE, learning_rate=learning_rate)
    return distilled(
        conditions,
        seed=seed,
        temperature=STUDENTS_TEMPERATURE,
        teacher_temperature=warmth * STUDENTS_TEMPERATURE,
        distillation_weight=distillation_weight,
        learning_rate=learning_rate,
    )


my_best = Study(
    name="my_best",
    title="What are the settings worth on the test videos?",
    question="The value of the best trial of a search flatters; this is its accuracy on videos that no trial has seen.",
    recipe=warmed,
    rows=(
        Row(name="searched", title="the settings that --set names"),
        Row(name="moco", title="MoCo v2", recipe=moco, baseline=True),
    ),
    reference="searched",
)

my_search = Search(
    name="my_search",
    title="Which learning rate, λ and warmth are best on our videos?",
    question="The paper's were chosen on other videos. Is a teacher worth it, and does it ask for another rate?",
    recipe=warmed,
    axes={
        "learning_rate": LogUniform(0.003, 0.3),
        "teaches": Choice((True, False)),
        "warmth": When("teaches", (True,), Uniform(0.5, 2)),
        "distillation_weight": When("teaches", (True,), LogUniform(0.1, 50)),
    },
    objective=ON_FOLDS,
    objective_under=objective_under,
    initial_point={"learning_rate": 0.03, "teaches": True, "warmth": 1.0, "distillation_weight": 5.0},
    evaluated_in="my_best",
)
