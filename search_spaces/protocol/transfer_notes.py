"""Notes of a plan and a report on pre-training on one dataset and testing on another, and on published numbers."""

from collections.abc import Iterator, Sequence

from study import MeasuredOn, Published
from trainers.data.datasets.dataset import Dataset

STANDS_FOR = {"frames": "cholec80", "second-hospital.toml": "m2cai16"}
"""Layouts whose videos are compared with the numbers published for another: Cholec80's frames, and synthetic videos."""
TITLES = {"cholec80": "Cholec80", "m2cai16": "M2CAI16"}


def kind_of(dataset: Dataset) -> str:
    """The published dataset whose layout a dataset has; that of its own where it is none of them."""
    return STANDS_FOR.get(dataset.layout, dataset.layout)


def measured_on(dataset: Dataset, pretrain_on: Dataset | None) -> MeasuredOn:
    """The kinds of dataset that trials pre-train on and are tested on."""
    return MeasuredOn(pretraining=kind_of(pretrain_on or dataset), test=kind_of(dataset))


def transfer_note(pretrain_on: Dataset, dataset: Dataset) -> str:
    """What comes of which dataset."""
    unused = sum(not recording.annotation for recording in dataset.recordings)
    left_out = f" The {unused} unlabelled videos of {dataset.name} are not used." if unused else ""
    seen = "all of its videos; there is no kNN probe, for none has labels"
    if any(recording.annotation for recording in pretrain_on.recordings):
        seen = f"its training and unlabelled videos, and the kNN probe the validation videos of {pretrain_on.name}"
    return (
        f"Transfer: whatever trains without labels sees {pretrain_on.name} alone, {seen}. Fine-tuning, label "
        f"fractions, the temporal model, validation and test are of {dataset.name}.{left_out}"
    )


def published_notes(
    shown: Published | None, known: Sequence[Published], data: MeasuredOn, *, synthetic: bool
) -> Iterator[str]:
    """Sentences on the published numbers that stand beside the results, and why, where it is not plain.

    Args:
        shown: the numbers beside the results.
        known: all numbers of the study.
        data: what the results are measured on.
        synthetic: whether they are measured on synthetic videos.
    """
    if shown is not None and synthetic and shown.measured_on is not None:
        yield (
            f"The published numbers beside are of {_words(shown.measured_on)}, for which the synthetic videos stand."
        )
    elif shown is None and known:
        where = " and ".join(_words(each.measured_on) for each in known if each.measured_on)
        yield f"No published numbers are shown: they are of {where}, not of {_words(data)}."


def _words(data: MeasuredOn) -> str:
    pretraining, test = (TITLES.get(kind, kind) for kind in data)
    return f"{test} alone" if pretraining == test else f"pre-training on {pretraining} and testing on {test}"
