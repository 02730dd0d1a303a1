"""Notes of a plan and a report on pre-training on one dataset and testing on another, and on published numbers."""

from collections.abc import Iterable, Iterator, Sequence

from search_spaces.protocol.released import RELEASED
from study import MeasuredOn, Published, Trial
from trainers.data.datasets.dataset import Dataset
from trainers.data.synthetic.hospitals import SECOND
from trainers.names import fold_named

LAYOUTS = {"frames": "cholec80"}
"""Built-in layouts that are those of a published dataset under another name: frames cut out of Cholec80's videos."""

STANDS_FOR = {SECOND.name: "m2cai16"}
"""Synthetic hospitals that stand for a published dataset, whatever describes their videos."""


def kind_of(dataset: Dataset) -> str:
    """The published dataset that a dataset's own numbers stand beside, or what else it is.

    A published dataset is known by its videos, their length, split and phases, whatever describes them; synthetic
    videos by the generator's mark and a built-in layout; all others by their layout.
    """
    layout = LAYOUTS.get(dataset.layout, dataset.layout)
    if dataset.synthetic:
        return STANDS_FOR.get(dataset.synthetic, layout)
    found = next((kind for kind, released in RELEASED.items() if not released.difference(dataset)), None)
    return found or (f"videos laid out like {RELEASED[layout].title}" if layout in RELEASED else layout)


def measured_on(dataset: Dataset, pretrain_on: Dataset | None) -> MeasuredOn:
    """The kinds of dataset that trials pre-train on and are tested on."""
    return MeasuredOn(pretraining=kind_of(pretrain_on or dataset), test=kind_of(dataset))


def of_folds(data: MeasuredOn, trials: Iterable[Trial]) -> MeasuredOn:
    """The kinds of dataset of trials: folds of a dataset are another kind than its own split."""
    if not any(fold_named(trial.parameters.get("split")) for trial in trials):
        return data
    return data._replace(test=f"folds of {_title(data.test)}")


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
    shown: Published | None, known: Sequence[Published], data: MeasuredOn, datasets: Sequence[Dataset]
) -> Iterator[str]:
    """Sentences on the published numbers that stand beside the results, and why, where it is not plain.

    Args:
        shown: the numbers beside the results.
        known: all numbers of the study.
        data: the kinds of dataset that trials are pre-trained on and tested on.
        datasets: these datasets, each once.
    """
    if shown is not None and shown.measured_on is not None:
        synthetic = [each.name for each in datasets if each.synthetic]
        if synthetic:
            yield (
                f"The published numbers beside are of {_words(shown.measured_on)}, for which the synthetic videos of "
                f"{' and '.join(synthetic)} stand."
            )
    elif shown is None and known:
        where = " and ".join(_words(each.measured_on) for each in known if each.measured_on)
        unlike = "".join(f" {each}." for each in _differences(datasets))
        yield f"No published numbers are shown: they are of {where}, not of {_words(data)}.{unlike}"


def _differences(datasets: Sequence[Dataset]) -> Iterator[str]:
    """What tells datasets from a published one that they are laid out or named like."""
    for each in datasets:
        if each.synthetic:
            continue
        layout = LAYOUTS.get(each.layout, each.layout)
        for kind, released in RELEASED.items():
            difference = released.difference(each)
            if difference and (kind == layout or released.is_named_like(each)):
                yield f"{each.name} {difference}"


def _words(data: MeasuredOn) -> str:
    pretraining, test = map(_title, data)
    return f"{test} alone" if pretraining == test else f"pre-training on {pretraining} and testing on {test}"


def _title(kind: str) -> str:
    return RELEASED[kind].title if kind in RELEASED else kind
