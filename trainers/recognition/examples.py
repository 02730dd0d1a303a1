"""Labelled frames as the inputs of a frame-wise classifier: stored or computed features, or images."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.data.frames import UNLABELLED, Frames
from trainers.data.loading import plain_batches
from trainers.networks.features import network_input
from trainers.recognition.sequences import read_sequence


class Examples(ABC):
    """Labelled frames as a model's inputs.

    Args:
        labels: of the frames, N.
        batch_size: frames per batch.
        device: where batches are wanted.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, device: torch.device) -> None:
        self._batch_size = batch_size
        self._device = device
        self.labels = torch.from_numpy(labels).long()

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """(inputs, labels) of the frames, batch by batch, in the order given."""
        labels = torch.split(self.labels[torch.from_numpy(order)].to(self._device), self._batch_size)
        return zip(self._inputs(order), labels, strict=True)

    @abstractmethod
    def _inputs(self, order: np.ndarray) -> Iterator[Tensor]: ...


class FeatureExamples(Examples):
    """Features of a backbone that stays as it is, N×C in single precision, all of them on the device."""

    def __init__(self, features: Tensor, labels: np.ndarray, batch_size: int, device: torch.device) -> None:
        super().__init__(labels, batch_size, device)
        self._features = features.to(device)

    def _inputs(self, order: np.ndarray) -> Iterator[Tensor]:
        yield from torch.split(self._features[torch.from_numpy(order).to(self._device)], self._batch_size)


class ImageExamples(Examples):
    """Normalised images, N×3×H×W, decoded by this many threads."""

    def __init__(self, frames: Frames, batch_size: int, device: torch.device, *, size_px: int, threads: int) -> None:
        super().__init__(frames.labels, batch_size, device)
        self._frames, self._size_px, self._threads = frames, size_px, threads

    def _inputs(self, order: np.ndarray) -> Iterator[Tensor]:
        pinned = self._device.type == "cuda"
        for images in plain_batches(
            self._frames, self._size_px, self._batch_size, self._threads, order=order, pin_memory=pinned
        ):
            yield network_input(images, self._device)


class Rows(NamedTuple):
    """Rows of features in single precision, N×C, and their labels, N."""

    features: Tensor
    labels: np.ndarray


NO_ROWS = Rows(torch.empty(0, 0), np.empty(0, np.int8))


def labelled_rows(folder: Path, videos: Iterable[str], sample_every: int) -> Rows:
    """The labelled rows of videos at a rate, in their order, from an artifact of features. There must be a video."""
    features, labels = [], []
    for video in videos:
        sequence = read_sequence(folder, video)
        chosen = np.flatnonzero((sequence.frames % sample_every == 0) & (sequence.labels != UNLABELLED))
        features.append(torch.from_numpy(sequence.features[chosen]).float())
        labels.append(sequence.labels[chosen])
    return Rows(torch.cat(features), np.concatenate(labels))
