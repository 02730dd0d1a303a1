"""Splits of recordings into training, validation and test: the published one, and folds of a cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from trainers.names import Fold, fold_named
from trainers.runtime.randomness import numpy_generator
from trainers.stage import InputError

Item = TypeVar("Item")

FEWEST = 3
"""One recording each to train on, to validate on and to test on."""
FEWEST_FOLDS = 2
VALIDATION_SHARE = 1 / 5


@dataclass(frozen=True, kw_only=True)
class Split(Generic[Item]):
    """The sides of a split, each in the order of the dataset."""

    train: tuple[Item, ...]
    validation: tuple[Item, ...] = ()
    test: tuple[Item, ...]
    unlabelled: tuple[Item, ...] = ()
    """Those without annotations; only pre-training uses them, beside `train`."""


def divided(
    items: Sequence[Item],
    name: str,
    *,
    subsets: Sequence[str | None] = (),
    declared: Sequence[int | None] = (),
    folds_validate: bool = True,
) -> Split[Item]:
    """The split of a name: `official`, `selection`, or a fold.

    Args:
        items: as in `official`.
        name: of the split.
        subsets: as in `official`; folds are made of all recordings, whatever side they are on there.
        declared: as in `fold`.
        folds_validate: whether a fold keeps a part of its training side to validate on.

    Raises:
        InputError: as in `official` and `fold`.
    """
    asked = fold_named(name)
    if asked is not None:
        return fold(items, asked, declared=declared, validates=folds_validate)
    return (official if name == "official" else selection)(items, subsets=subsets)


def fold(
    items: Sequence[Item], asked: Fold, *, declared: Sequence[int | None] = (), validates: bool = True
) -> Split[Item]:
    """One fold of a cross-validation over all recordings; every one of them is tested in one fold of a drawing.

    Recordings are put into an order that the number of the drawing and their number decide, and cut into `count` parts
    of equal length, the first ones longer by one where they have to be. The fold's part is tested. Of the others, taken
    in a circle from the one after it, the last fifth validates, as in `selection`. Phases do not enter. Where the
    dataset declares as many folds as are asked for, these are the parts of the first drawing.

    Args:
        items: as in `official`.
        asked: the fold.
        declared: the fold of each recording (1-based) where the dataset's description declares folds.
        validates: whether to validate; all recordings that are not tested train where not.

    Raises:
        InputError: there is no such fold, or there are too few recordings.
    """
    if asked.count < FEWEST_FOLDS or asked.number > asked.count:
        raise InputError(
            f"split {asked} does not exist: there are folds 1 to k of k, and k is at least {FEWEST_FOLDS}."
        )
    fewest = max(asked.count, FEWEST + (asked.count == FEWEST_FOLDS))  # one of two folds has half of the videos
    if len(items) < fewest:
        raise InputError(f"{len(items)} annotated videos cannot be split as {asked}: give at least {fewest}.")
    parts = _declared_parts(declared, asked)
    if not parts:
        order = numpy_generator(asked.repeat, "folds").permutation(len(items))
        parts = np.array_split(order, asked.count)
    tested = parts[asked.number - 1]
    rest = np.concatenate([*parts[asked.number :], *parts[: asked.number - 1]])
    num_train = len(rest) - (max(1, round(len(rest) * VALIDATION_SHARE)) if validates else 0)
    train, validation, test = (
        tuple(items[index] for index in sorted(side.tolist())) for side in (rest[:num_train], rest[num_train:], tested)
    )
    return Split(train=train, validation=validation, test=test)


def official(items: Sequence[Item], *, subsets: Sequence[str | None] = ()) -> Split[Item]:
    """The published split: Cholec80's videos 1-40 against 41-80, M2CAI16's 27 against 14.

    Args:
        items: the recordings, their names or their stages, in the order of the dataset.
        subsets: for each of them "train", "validation" or "test" where the dataset's description fixes it; where it
            does not, the last half is the test, rounded down.

    Raises:
        InputError: there are fewer than three, or the layout leaves nothing to test on or too little to train on.
    """
    if len(items) < FEWEST:
        raise InputError(
            f"{len(items)} videos cannot be split into train, validation and test: give at least {FEWEST}."
        )
    if not any(subsets):
        num_train = len(items) - len(items) // 2
        return Split(train=tuple(items[:num_train]), test=tuple(items[num_train:]))
    train, validation, test = (_members(items, subsets, side) for side in ("train", "validation", "test"))
    if len(train) + len(validation) < FEWEST - 1 or not train or not test:
        raise InputError(
            f"{len(train)} training and {len(test)} test videos cannot be split: "
            f"give at least {FEWEST - 1} to train and validate on, and 1 to test on."
        )
    return Split(train=train, validation=validation, test=test)


def selection(items: Sequence[Item], *, subsets: Sequence[str | None] = ()) -> Split[Item]:
    """The split that models are chosen on: the last fifth of `official`'s training side validates.

    Cholec80: 32, 8 and 40 videos; M2CAI16: 22, 5 and 14; AutoLaparo, which says what validates, 10, 4 and 7. Arguments
    and errors as in `official`.
    """
    whole = official(items, subsets=subsets)
    if whole.validation:
        return whole
    num_train = len(whole.train) - max(1, round(len(whole.train) * VALIDATION_SHARE))
    return Split(train=whole.train[:num_train], validation=whole.train[num_train:], test=whole.test)


def _declared_parts(declared: Sequence[int | None], asked: Fold) -> list[np.ndarray]:
    """The parts that a dataset declares, where they are the folds that are asked for; none where not."""
    if not declared or not all(declared) or asked.repeat > 1 or set(declared) != set(range(1, asked.count + 1)):
        return []
    return [np.flatnonzero(np.array(declared) == number) for number in range(1, asked.count + 1)]


def _members(items: Sequence[Item], subsets: Sequence[str | None], side: str) -> tuple[Item, ...]:
    assert all(subsets), "a layout fixes the side of every recording or of none"
    return tuple(item for item, subset in zip(items, subsets, strict=True) if subset == side)
