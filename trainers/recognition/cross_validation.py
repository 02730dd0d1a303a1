"""Cross-validation of the temporal model over labelled videos: one training per fold, and the mean of their curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from trainers.artifacts.history import TEMPORAL, Curves, Record, read_history, write_history
from trainers.data.ingest.video import Ingest
from trainers.networks.supervised import Selection
from trainers.recognition.placement import Placed
from trainers.recognition.temporal import TrainTemporal, placed_rows
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class TrainFold(TrainTemporal):
    """Training of the temporal model on all labelled videos but those of one fold, which its accuracy is measured on.

    It learns from the videos of both sides, `training` and `validation`. The last epoch is kept: an epoch that the
    labels of the fold had chosen would flatter its accuracy, and some settings more than others.

    Attributes:
        selection: the last epoch, always.
        held_out: the videos of the fold.
    """

    granted_as: ClassVar[str] = "TrainTemporal"

    selection: Selection = "last"
    held_out: tuple[Ingest, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {video.name for video in self.known_videos}
        missing = [video.name for video in self.held_out if video.name not in known]
        if missing or not self.held_out:
            raise InputError(f"held-out videos have no features: {', '.join(missing) or 'none is named'}.")
        if self.selection != "last":
            raise InputError(f"TrainFold.selection is {self.selection!r}: videos that are held out choose no epoch.")
        if not self.videos:
            raise InputError("TrainFold.held_out names every video: leave some to learn from.")

    @property
    def known_videos(self) -> tuple[Ingest, ...]:
        """The videos of both sides."""
        return self.training.videos + (self.validation.videos if self.validation else ())

    @property
    def videos(self) -> tuple[Ingest, ...]:
        """The videos to learn from: those that are not held out."""
        held_out = {video.name for video in self.held_out}
        return tuple(video for video in self.labelled or self.known_videos if video.name not in held_out)

    def sides(self, work: Work, device: torch.device) -> tuple[list[Placed], list[Placed]]:
        """The rows of both sides that are learnt from, and those that are held out."""
        return self._rows(self.videos, work, device), self._rows(self.held_out, work, device)

    def _rows(self, videos: Sequence[Ingest], work: Work, device: torch.device) -> list[Placed]:
        """The rows of videos, from the features of the side that they are on."""
        first = {video.name for video in self.training.videos}
        parts = {
            "training": tuple(video for video in videos if video.name in first),
            "validation": tuple(video for video in videos if video.name not in first),
        }
        return [row for side, part in parts.items() if part for row in placed_rows(work.inputs[side], part, device)]


@dataclass(frozen=True, kw_only=True)
class CrossValidate(Stage):
    """Mean curves over folds, in `history.parquet`: every held-out video counts once, by the model that never saw it.

    Attributes:
        folds: the trainings, one per fold.
    """

    curves: ClassVar[str] = TEMPORAL

    folds: tuple[TrainFold, ...]

    @property
    def num_videos(self) -> int:
        """Number of videos over all folds."""
        return sum(len(fold.held_out) for fold in self.folds)

    def expected_seconds(self) -> float:
        return 0.01

    def run(self, work: Work) -> None:
        curves = [read_history(folder) for folder in work.inputs_of("folds")]
        write_history(work.output, mean_records(curves, [len(fold.held_out) for fold in self.folds]))


def dealt(videos: Sequence[Ingest], count: int) -> tuple[tuple[Ingest, ...], ...]:
    """Folds of videos: they are dealt in turn, so that each fold has as many of the first ones as of the last."""
    return tuple(tuple(videos[number::count]) for number in range(min(count, len(videos))))


def mean_records(curves: Sequence[Curves], weights: Sequence[float]) -> list[Record]:
    """The weighted mean of curves, over the metrics and epochs that all of them have.

    Args:
        curves: of every fold.
        weights: of every fold, such as its number of held-out videos.
    """
    shared = [metric for metric in curves[0] if all(metric in each for each in curves)]
    epochs = sorted(set.intersection(*(set(each[metric]) for each in curves for metric in shared)))
    return [{"epoch": float(epoch)} | _means(curves, weights, shared, epoch) for epoch in epochs]


def _means(curves: Sequence[Curves], weights: Sequence[float], metrics: Sequence[str], epoch: int) -> Record:
    return {m: float(np.average([each[m][epoch] for each in curves], weights=weights)) for m in metrics}
