"""Splits of recordings into training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from trainers.stage import InputError

Item = TypeVar("Item")

FEWEST = 3
"""One recording each to train on, to validate on and to test on."""
VALIDATION_SHARE = 1 / 5


@dataclass(frozen=True, kw_only=True)
class Split(Generic[Item]):
    """The sides of a split, each in the order of the dataset."""

    train: tuple[Item, ...]
    validation: tuple[Item, ...] = ()
    test: tuple[Item, ...]
    unlabelled: tuple[Item, ...] = ()
    """Those without annotations; only pre-training uses them, beside `train`."""


def official(items: Sequence[Item], *, subsets: Sequence[str | None] = ()) -> Split[Item]:
    """The published split: Cholec80's videos 1-40 against 41-80, M2CAI16's 27 against 14.

    Args:
        items: the recordings, their names or their stages, in the order of the dataset.
        subsets: for each of them "train" or "test" where the dataset's layout fixes it (`Recording.subset`);
            where it does not, the last half is the test, rounded down.

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
    train, test = (_members(items, subsets, side) for side in ("train", "test"))
    if len(train) < FEWEST - 1 or not test:
        raise InputError(
            f"{len(train)} training and {len(test)} test videos cannot be split: "
            f"give at least {FEWEST - 1} to train and validate on, and 1 to test on."
        )
    return Split(train=train, test=test)


def selection(items: Sequence[Item], *, subsets: Sequence[str | None] = ()) -> Split[Item]:
    """The split that models are chosen on: the last fifth of `official`'s training side validates.

    Cholec80: 32, 8 and 40 videos; M2CAI16: 22, 5 and 14. Arguments and errors as in `official`.
    """
    whole = official(items, subsets=subsets)
    num_train = len(whole.train) - max(1, round(len(whole.train) * VALIDATION_SHARE))
    return Split(train=whole.train[:num_train], validation=whole.train[num_train:], test=whole.test)


def _members(items: Sequence[Item], subsets: Sequence[str | None], side: str) -> tuple[Item, ...]:
    assert all(subsets), "a layout fixes the side of every recording or of none"
    return tuple(item for item, subset in zip(items, subsets, strict=True) if subset == side)
