"""Figure 3: how many labelled videos does each pre-training need?"""

from search_spaces.recipes import distilled, moco, public_features, scratch
from study import Curve, Row, Study
from study.core.recipe import Recipe

FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)
METHODS: dict[str, tuple[str, Recipe]] = {
    "scratch": ("Scratch", scratch),
    "mo-in": ("Mo-IN: public weights", public_features),
    "mo-su": ("Mo-SU: MoCo v2 on surgical frames", moco),
    "ours": ("Ours", distilled),
}


def _row(name: str, fraction: float) -> Row:
    title, recipe = METHODS[name]
    return Row(
        name=f"{name}-{100 * fraction:g}",
        title=f"{title}, {100 * fraction:g} % of labels",
        recipe=recipe,
        parameters={"label_fraction": fraction, "finetune_mode": "full"},
        series=title,
    )


fig3 = Study(
    name="fig3",
    title="How many labelled videos does each pre-training need?",
    question=(
        "All layers are fine-tuned on a fraction of the labelled training videos. The paper says that distillation is "
        "best at every fraction, and that its margin grows as labels shrink; its values stand in a figure alone."
    ),
    recipe=distilled,
    rows=tuple(_row(name, fraction) for name in METHODS for fraction in FRACTIONS),
    curve=Curve(axis="label_fraction", title="fraction of the labelled training videos", reference="Ours"),
    cost={
        "demo": "about 11 minutes on two CPU cores",
        "full": "2 students and a teacher of 200 epochs, 20 fine-tunings of all layers",
    },
)
"""Figure 3 of Ding et al., MICCAI 2022.

Fractions are of whole videos, nested, drawn by the seed alone: the same videos for every method, every phase among
them, and the same for the temporal model. Pre-training sees all training videos, for it needs no labels.
"""
