"""Beyond the paper: which free model is the best teacher?"""

from collections.abc import Mapping

from search_spaces.protocol.conditions import Conditions, described
from search_spaces.recipes import distilled, free_model_named, moco, public_features
from search_spaces.recipes.free_models import STAND_INS
from study import Row, Study, Teacher

OF_STAND_INS = {name: each.title for name, each in STAND_INS.items()}
"""Titles of the free models by name, where no public weights are given."""


def _rows(titles: Mapping[str, str], teachers: Mapping[str, Teacher | None]) -> tuple[Row, ...]:
    """MoCo v2 without a teacher, a student of every free model, and every free model alone."""
    return (
        Row(name="moco", title="MoCo v2, no teacher", recipe=moco),
        *(
            Row(
                name=f"teacher-{name}",
                title=f"{title} teaches",
                parameters={"free_model": name},
                teacher=teachers.get(name),
            )
            for name, title in titles.items()
        ),
        *(
            Row(
                name=features_row(name),
                title=f"{title} alone",
                parameters={"free_model": name},
                recipe=public_features,
                baseline=True,
            )
            for name, title in titles.items()
        ),
    )


def rows_under(conditions: Conditions) -> tuple[Row, ...]:
    """The rows of the public weights that are given; of the package's own and of stand-ins where none are."""
    origins = {each.name: f"{each.kind}: {described(each)}" for each in conditions.weights}
    titles = {name: name for name in origins} or OF_STAND_INS
    if not origins:
        origins = {each.kind: described(each) for each in conditions.shipped}
    return _rows(titles, {name: _teacher(conditions, name, titles[name], origins.get(name)) for name in titles})


def features_row(name: str) -> str:
    """Name of the row of a free model's own features."""
    return f"features-{name}"


def _teacher(conditions: Conditions, name: str, title: str, origin: str | None) -> Teacher:
    backbone = free_model_named(conditions, name).backbone
    return Teacher(
        title=title,
        origin=origin or f"stand-in: {backbone.described}, {STAND_INS[name].training}",
        gflops=backbone.gflops_at(conditions.scale.size_px),
        alone=features_row(name),
    )


teachers = Study(
    name="teachers",
    title="Which free model is the best teacher?",
    question=(
        "The paper's teacher is made of MoCo v2's weights, the free model of its time. Every model that `--weights` "
        "names teaches a student here, with the same budget; stand-ins that differ in kind where none is named. Each "
        "student is compared with MoCo v2 without a teacher, and set against what its teacher costs and how good the "
        "free model's own features are. Nothing is published on surgical videos for any of them."
    ),
    recipe=distilled,
    rows=_rows(OF_STAND_INS, {}),
    rows_from=rows_under,
    reference="moco",
    cost={
        "demo": "about 6 minutes on two CPU cores",
        "full": "a student and a teacher of 200 epochs for every free model, and a student without",
    },
)
"""Beyond Ding et al., MICCAI 2022, eqs. 5 to 7: another free model, another teacher, the same student.

Of every teacher the head alone is trained on surgical frames, and its cost per frame is that of a forward pass in the
input size that it expects. docs/free-models.md says how free models are registered.
"""
