"""Splits that trials ask for: how many videos are on their sides, and notes on folds."""

from collections.abc import Iterable
from contextlib import suppress

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import is_split
from study import Trial
from trainers.data.datasets.splits import Split
from trainers.data.ingest.video import Ingest
from trainers.names import Fold, fold_named
from trainers.stage import InputError


def num_videos(conditions: Conditions, splits: Iterable[object]) -> dict[str, int]:
    """Number of videos by side, over all splits; of several, the largest training and validation side of one.

    Unlabelled videos are counted only where there are any.

    Args:
        conditions: preset, scale and dataset.
        splits: the values of `split` of the trials; what names none is passed over.
    """
    known = _sides(conditions, splits) or [conditions.videos()]
    sides = {
        "train": max(len(split.train) for split in known),
        "validation": max(len(split.validation) for split in known),
        "test": len({video.name for split in known for video in split.test}),
    }
    unlabelled = len(known[0].unlabelled)
    return sides | ({"unlabelled": unlabelled} if unlabelled else {})


def fold_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence for every number of folds that the trials ask for."""
    asked = {fold for trial in trials if (fold := fold_named(trial.parameters.get("split"))) is not None}
    return tuple(
        _sentence(conditions, [fold for fold in sorted(asked) if fold.count == count])
        for count in sorted({fold.count for fold in asked})
    )


def _sides(conditions: Conditions, splits: Iterable[object]) -> list[Split[Ingest]]:
    found = []
    for split in dict.fromkeys(splits):
        if is_split(split):
            with suppress(InputError):  # a user's recipe may mean something else by this name
                found.append(conditions.videos(split))
    return found


def _sentence(conditions: Conditions, folds: list[Fold]) -> str:
    count = folds[0].count
    if len(folds) == 1:
        return (
            f"{folds[0]} alone is asked for: its test videos are neither those of the published split nor all videos; "
            f"the other {count - 1} of the {count} folds test the others. Runs of one fold each have a report each; "
            f"none pools them. `cross_validated(STUDY, NAME, count={count})` in a file of your own "
            "(docs/own-study.md) is the study that does: its statistics know that folds share training videos, and it "
            "computes nothing again."
        )
    repeats = {fold.repeat for fold in folds}
    missing = count * len(repeats) - len(folds)
    lacking = f"; {missing} of them {'is' if missing == 1 else 'are'} not asked for" if missing else ""
    drawings = f" of {len(repeats)} drawings" if len(repeats) > 1 else ""
    sides = conditions.videos(str(folds[0]))
    return (
        f"Videos are tested in {count} folds{drawings}{lacking}: a fold trains on {len(sides.train)} videos, validates "
        f"on {len(sides.validation)} and tests {len(sides.test)}, give or take one."
    )
