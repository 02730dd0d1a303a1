"""Sweeps over one hyperparameter of section 3.2 each, and over nothing but the seed."""

from search_spaces.recipes import distilled, moco
from study import Choice, Curve, Row, Study

WITHOUT_TEACHER = Row(name="moco", title="MoCo v2, no teacher", recipe=moco, baseline=True)


def _choice(symbol: str, values: tuple[float, ...], unit: str = "") -> Choice:
    return Choice(values, tuple(f"{symbol} = {value:g}{unit}" for value in values))


sweep_lambda = Study(
    name="lambda",
    title="How much should the teacher weigh?",
    question=(
        "λ weighs the distillation term against the contrastive one. The paper takes 5 and shows no other value. "
        "MoCo v2 without a teacher is λ = 0, step for step."
    ),
    recipe=distilled,
    axes={"distillation_weight": _choice("λ", (0.5, 1, 2, 5, 10, 20))},
    rows=(WITHOUT_TEACHER,),
    reference="5",
    curve=Curve(axis="distillation_weight", title="λ, the weight of distillation", log=True),
    cost={"demo": "about 5 minutes on two CPU cores", "full": "7 students and a teacher of 200 epochs"},
)
"""λ of eq. 7."""

sweep_temperature = Study(
    name="temperature",
    title="How sharp should similarities be?",
    question=(
        "τ is that of teacher and student together. The paper takes 0.07 and its published code 0.2: does it matter?"
    ),
    recipe=distilled,
    axes={"temperature": _choice("τ", (0.03, 0.05, 0.07, 0.1, 0.2, 0.5))},
    reference="0.07",
    curve=Curve(axis="temperature", title="τ, the temperature", log=True),
    cost={"demo": "about 5 minutes on two CPU cores", "full": "6 students and 6 teachers of 200 epochs"},
)
"""τ of eqs. 2 and 5; another τ is another teacher, too."""

sweep_queue = Study(
    name="queue",
    title="How long should the dictionary be?",
    question=(
        "K is the number of batches whose keys a dictionary holds, of teacher and student. The authors' code takes 16. "
        "Short ones give few similarities to distil, long ones old keys."
    ),
    recipe=distilled,
    axes={"queue_batches": _choice("K", (1, 4, 16, 64), " batches")},
    reference="16",
    curve=Curve(axis="queue_batches", title="K, in batches", log=True),
    cost={"demo": "about 4 minutes on two CPU cores", "full": "4 students and 4 teachers of 200 epochs"},
)
"""K of eq. 2, in batches: 128 frames each at scale `full`, where 16 are the 2048 of the authors' commands."""

sweep_seeds = Study(
    name="seeds",
    title="How much of a difference is noise?",
    question=(
        "The same two methods again and again, with nothing but the seed changed: differences between methods mean "
        "little where seeds differ as much. The paper says nothing of seeds."
    ),
    recipe=distilled,
    rows=(Row(name="ours", title="Ours"), Row(name="moco", title="MoCo v2, no teacher", recipe=moco)),
    reference="ours",
    curve=Curve(axis="seed", title="seed"),
    fewest_seeds=3,
    cost={"demo": "about 5 minutes on two CPU cores", "full": "6 students and 3 teachers of 200 epochs"},
)
"""Three seeds at least; `--seeds` asks for more."""
