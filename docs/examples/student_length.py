"""A user's study with lines: does distillation still gain when the student trains longer?

Run it with `freelunch run docs/examples/student_length.py:student_length --scale demo`; docs/own-study.md explains such
files, and docs/reproduction.md has what came of it at scale `small`.
"""

from search_spaces.recipes import distilled, moco
from study import Curve, Row, Study

EPOCHS = (12, 36)
WEIGHTS = (0.0, 2.0, 5.0)
NO_TEACHER = "MoCo v2"


def row(weight: float, epochs: int) -> Row:
    """The student of one λ and one length; where λ is 0 there is no teacher."""
    line = f"λ = {weight:g}" if weight else NO_TEACHER
    settings: dict[str, object] = {"student_epochs": epochs}
    if weight:
        settings["distillation_weight"] = weight
    return Row(
        name=f"{'lambda-' + format(weight, 'g') if weight else 'moco'}-{epochs}",
        title=f"{line}, {epochs} epochs",
        recipe=distilled if weight else moco,
        parameters=settings,
        series=line,
    )


student_length = Study(
    name="student_length",
    title="Does distillation still gain when the student trains longer?",
    question=(
        "A student that follows a teacher has a head start. MoCo v2 without one may catch up when both train "
        "three times as long."
    ),
    recipe=distilled,
    rows=tuple(row(weight, epochs) for weight in WEIGHTS for epochs in EPOCHS),
    curve=Curve(axis="student_epochs", title="epochs of the student", reference=NO_TEACHER),
)
