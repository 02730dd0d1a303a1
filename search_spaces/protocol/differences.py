"""Differences of the authors' code from what their paper evidently means, with the fields of a preset that say them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from search_spaces.protocol.presets import PRESETS, Preset

DifferenceName = Literal[
    "temperature",
    "loss-sum",
    "teacher-start",
    "heads",
    "teacher-statistics",
    "running-statistics",
    "moving-teacher",
    "queues",
    "shuffles",
    "precision",
    "split",
    "fine-tuning",
    "input",
    "temporal-stages",
    "dropout",
    "optimiser",
    "selection",
    "length",
    "window",
    "deviation",
]
AUTHORS: Preset = PRESETS["official_code"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference between the presets `corrected` and `official_code`.

    Attributes:
        name: its name, as the value of a hyperparameter.
        title: what the authors' code does, in a few words.
        fields: the fields of a preset that say it.
    """

    name: DifferenceName
    title: str
    fields: tuple[str, ...]


DIFFERENCES: tuple[Difference, ...] = (
    Difference(name="temperature", title="D1: τ = 0.2", fields=("temperature",)),
    Difference(name="loss-sum", title="D2: 2 L_con + λ L_dis", fields=("contrastive_weight",)),
    Difference(name="teacher-start", title="D3: supervised public weights", fields=("teacher_start",)),
    Difference(name="heads", title="D4: teacher's heads drawn apart", fields=("heads_apart",)),
    Difference(
        name="teacher-statistics",
        title="D5b: teacher trained in train mode",
        fields=("teacher_batch_statistics", "start_running_statistics"),
    ),
    Difference(name="running-statistics", title="running statistics of one GPU", fields=("running_statistics",)),
    Difference(name="moving-teacher", title="D5: teacher moves while it teaches", fields=("moving_teacher",)),
    Difference(name="queues", title="D6: queues and pointers apart", fields=("queues_apart",)),
    Difference(name="shuffles", title="shuffles apart", fields=("shuffles_apart",)),
    Difference(name="precision", title="pre-training in fp32", fields=("precision",)),
    Difference(name="split", title="no validation videos: they train", fields=("split",)),
    Difference(
        name="fine-tuning",
        title="D10: all layers fine-tuned",
        fields=("finetune_mode", "finetune_learning_rate"),
    ),
    Difference(name="input", title="D11: fine-tuning unnormalised", fields=("normalised_input",)),
    Difference(name="temporal-stages", title="D12: one temporal stage", fields=("temporal_stages",)),
    Difference(name="dropout", title="D13: dropout in first epoch only", fields=("dropout_in_first_epoch_only",)),
    Difference(name="optimiser", title="D14: Adam made new every epoch", fields=("new_optimiser_every_epoch",)),
    Difference(
        name="selection",
        title="D15: epochs chosen on TEST videos",
        fields=("selection", "temporal_accuracy_over"),
    ),
    Difference(name="length", title="predictions as long as annotated", fields=("as_long_as_annotated",)),
    Difference(name="window", title="D16: relaxed window of 25 fps", fields=("relaxed_fps",)),
    Difference(name="deviation", title="D17: ± of a single one is 0", fields=("zero_std_of_one",)),
)
"""In the order in which a trial meets them; D1 to D17 are explained in docs/beyond-the-paper.md.

Running statistics of 0 and 1 are part of D5b, not of D3: in eval mode, in which `corrected` keeps a frozen backbone,
they would leave a network that no weights were trained for.
"""


def with_differences(preset: Preset, names: Iterable[str]) -> Preset:
    """A preset with what the authors' code does in some respects.

    Args:
        preset: where everything else comes from.
        names: of the differences.
    """
    chosen = set(names)
    fields = (field for difference in DIFFERENCES if difference.name in chosen for field in difference.fields)
    return replace(preset, **{field: getattr(AUTHORS, field) for field in fields})


ALL_NAMES: tuple[str, ...] = get_args(DifferenceName)
