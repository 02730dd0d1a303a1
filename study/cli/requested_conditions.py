"""Conditions that a request names, looked up: preset, scale, datasets and weights."""

from collections.abc import Iterable, Mapping

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS, is_split
from study.cli.synthetic_datasets import SYNTHETIC_DATASETS
from study.cli.videos import find_scale
from study.cli.weights import find_weights
from study.core.store import Store
from study.home.request import Request
from study.home.text import nearest
from trainers.data.datasets import registry as datasets
from trainers.data.datasets.dataset import Dataset
from trainers.stage import InputError

PRETRAINED_ON = "pre-trained on"
"""Name of this fact in reports."""


def conditions_of(store: Store, request: Request) -> Conditions:
    """Preset, scale and datasets of a request for one dataset; synthetic videos need not exist yet.

    Raises:
        InputError: one of them does not exist.
    """
    if request.preset not in PRESETS:
        raise InputError(f"no preset named {request.preset!r}{nearest(request.preset, PRESETS)}")
    scale = find_scale(request.scale)
    dataset = _dataset(store, request.dataset or scale.dataset)
    pretrain_on = _dataset(store, request.pretrain_on) if request.pretrain_on else None
    weights = tuple(find_weights(store.home, each) for each in request.weights)
    return Conditions(
        preset=PRESETS[request.preset],
        scale=scale,
        dataset=dataset,
        pretrain_on=pretrain_on,
        weights=weights,
        stand_in=request.stand_in,
    )


def check_named(store: Store, request: Request) -> None:
    """Refuses a request that names something that does not exist, quickly: before a cluster is asked what it has.

    Raises:
        InputError: a preset, a scale, a dataset or weights do not exist.
    """
    for each in request.each_dataset():
        conditions_of(store, each)


def pretraining_fact(conditions: Conditions, splits: Iterable[object]) -> dict[str, str]:
    """The fact in a report that names the dataset of pre-training, where it is another one.

    Args:
        conditions: preset, scale and datasets.
        splits: the values of `split` of the trials.
    """
    if conditions.pretrain_on is None:
        return {}
    seen = [conditions.pretraining_videos(split) for split in dict.fromkeys(splits) if is_split(split)]
    largest = max(seen or [conditions.pretraining_videos()], key=lambda sides: len(sides.train))
    sides = {"train": largest.train, "validation": largest.validation, "unlabelled": largest.unlabelled}
    counts = {side: len(videos) for side, videos in sides.items() if videos}
    return {PRETRAINED_ON: f"{conditions.pretrain_on.name}, {in_words(counts)} videos"}


def in_words(sides: Mapping[str, int]) -> str:
    """Numbers of videos by side, as reports say them."""
    return ", ".join(f"{count} {side}" for side, count in sides.items())


def _dataset(store: Store, name: str) -> Dataset:
    """A registered dataset, or one of synthetic videos as it will be."""
    synthetic = SYNTHETIC_DATASETS.get(name)
    if synthetic is not None and not synthetic.is_made(store.home):
        return synthetic.unmade()
    return datasets.load(store.home / "datasets", name)
