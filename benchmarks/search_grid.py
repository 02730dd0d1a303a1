"""A grid of 36 points over the question of `search distilled`, with which searches are compared."""

from search_spaces.recipes import distilled
from study import Choice, Study

grid = Study(
    name="grid",
    title="λ, τ and the teacher's trained part, point by point",
    question="A grid over the question of the search: the paper's values, and one on each side of them.",
    recipe=distilled,
    axes={
        "teacher_trains": Choice(("none", "head", "backbone", "all")),
        "distillation_weight": Choice((1.0, 5.0, 20.0)),
        "temperature": Choice((0.03, 0.07, 0.2)),
    },
)
