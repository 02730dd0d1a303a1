"""Notes of a plan and a report on pre-training on one dataset and testing on another, and on published numbers."""

from collections.abc import Iterator, Sequence

from search_spaces.protocol.released import RELEASED, annotated
from study import MeasuredOn, Published
from trainers.data.datasets.dataset import Dataset
from trainers.data.synthetic.hospitals import SECOND

LAYOUTS = {"frames": "cholec80"}
"""Built-in layouts that are those of a published dataset under another name: frames cut out of Cholec80's videos."""

STANDS_FOR = {SECOND.name: "m2cai16"}
"""Synthetic hospitals that stand for a published dataset, whatever describes their videos."""


def kind_of(dataset: Dataset) -> str:
    """The published dataset that a dataset's own numbers stand beside; its layout where there is none.

    It is the layout of a built-in description, or what the generator says of synthetic videos: the name of a file with
    a description decides nothing.
    """
    return STANDS_FOR.get(dataset.synthetic or "") or LAYOUTS.get(dataset.layout, dataset.layout)


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
    shown: Published | None, known: Sequence[Published], dataset: Dataset, pretrain_on: Dataset | None
) -> Iterator[str]:
    """Sentences on the published numbers that stand beside the results, and why, where it is not plain.

    Args:
        shown: the numbers beside the results.
        known: all numbers of the study.
        dataset: the videos that trials are tested on.
        pretrain_on: those that they are pre-trained on; the same where None.
    """
    data = measured_on(dataset, pretrain_on)
    if shown is not None and shown.measured_on is not None:
        beside = f"The published numbers beside are of {_words(shown.measured_on)}"
        yield from _doubts(beside, (dataset,) if pretrain_on is None else (pretrain_on, dataset))
    elif shown is None and known:
        where = " and ".join(_words(each.measured_on) for each in known if each.measured_on)
        yield f"No published numbers are shown: they are of {where}, not of {_words(data)}."


def _doubts(beside: str, datasets: Sequence[Dataset]) -> Iterator[str]:
    """Why datasets are not, or may not be, the published one that they stand for."""
    synthetic = [each.name for each in datasets if each.synthetic]
    if synthetic:
        yield f"{beside}, for which the synthetic videos of {' and '.join(synthetic)} stand."
    for each in datasets:
        released = RELEASED.get(kind_of(each))
        if released is None or each.synthetic or released.is_like(each):
            continue
        names, hours = annotated(each)
        yield (
            f"{beside}: {each.name} is laid out like {released.title} but is not known to be it, with {len(names)} "
            f"annotated videos of {hours:.1f} h in all ({released.in_words})."
        )


def _words(data: MeasuredOn) -> str:
    pretraining, test = (RELEASED[kind].title if kind in RELEASED else kind for kind in data)
    return f"{test} alone" if pretraining == test else f"pre-training on {pretraining} and testing on {test}"
