"""An online probe: how well nearest neighbours in feature space tell the phases of validation videos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.data.frames import Frames
from trainers.evaluation.metrics import mean_accuracy
from trainers.fields import Count, Precision, Temperature
from trainers.networks.features import features_of
from trainers.stage import Config, InputError, Stage

QUERY_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class KnnProbe(Config):
    """Weighted k-nearest-neighbour classification of frozen features (Wu et al., arXiv 1805.01978, Sec. 3.4).

    Attributes:
        training: labelled videos whose frames are the neighbours.
        validation: labelled videos whose frames are classified; never test videos.
        neighbours: k.
        temperature: of the neighbours' weights exp(cos / τ).
        sample_every: keep every n-th source frame of both.
        every_epochs: how often to look; the last epoch always counts.
    """

    training: tuple[Stage, ...]
    validation: tuple[Stage, ...]
    neighbours: Count = 20
    temperature: Temperature = 0.07
    sample_every: Count = 25
    every_epochs: Count = 1


def knn_predict(
    bank: Tensor, labels: Tensor, queries: Tensor, *, neighbours: int, temperature: float, num_classes: int
) -> Tensor:
    """The class of every query by a weighted vote of its nearest neighbours.

    Args:
        bank: features of the labelled frames, M×C.
        labels: their classes, M.
        queries: features to classify, N×C.
        neighbours: how many vote; all of the bank where it is smaller.
        temperature: τ of the weights exp(cos / τ).
        num_classes: number of classes.

    Returns:
        Classes, N.
    """
    columns = F.normalize(bank, dim=1).T
    classes = []
    for part in torch.split(F.normalize(queries, dim=1), QUERY_BATCH):  # N×M similarities at once may not fit
        nearest, indices = (part @ columns).topk(min(neighbours, len(bank)), dim=1)
        votes = F.one_hot(labels[indices], num_classes) * (nearest / temperature).exp()[..., None]
        classes.append(votes.sum(1).argmax(1))
    return torch.cat(classes)


class Prober:
    """A probe at work on opened videos: per-video accuracy in percent, averaged over the validation videos.

    Raises:
        InputError: the training or the validation videos have no labelled frame.
    """

    def __init__(
        self,
        probe: KnnProbe,
        training: list[Path],
        validation: list[Path],
        *,
        size_px: int,
        device: torch.device,
        threads: int,
        precision: Precision = "fp32",
    ) -> None:
        self._probe = probe
        self._bank = Frames(training, sample_every=probe.sample_every, labelled_only=True)
        self._queries = Frames(validation, sample_every=probe.sample_every, labelled_only=True)
        if not len(self._bank) or not len(self._queries):
            self.close()
            raise InputError("the probe needs labelled frames in training and validation videos: ingest annotations.")
        self._size_px = size_px
        self._device = device
        self._threads = threads
        self._precision: Precision = precision

    def accuracy(self, backbone: nn.Module) -> float:
        """Accuracy of a backbone's features."""
        bank, queries = (
            features_of(backbone, frames, self._size_px, self._device, self._threads, self._precision)
            for frames in (self._bank, self._queries)
        )
        labels = torch.from_numpy(self._bank.labels).long()
        truth = self._queries.labels
        predicted = knn_predict(
            bank.to(self._device),
            labels.to(self._device),
            queries.to(self._device),
            neighbours=self._probe.neighbours,
            temperature=self._probe.temperature,
            num_classes=int(max(labels.max(), truth.max())) + 1,
        )
        found, videos = predicted.cpu().numpy(), self._queries.video
        return mean_accuracy((truth[videos == video], found[videos == video]) for video in np.unique(videos))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._bank.close()
        self._queries.close()
