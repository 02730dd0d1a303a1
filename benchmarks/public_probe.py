"""What features are worth on ingested videos, for `benchmarks.pretrain_public`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from trainers.data.frames import Frames, FrameSource
from trainers.evaluation.metrics import mean_accuracy
from trainers.networks.features import features_of
from trainers.ssl.probe import KnnProbe, knn_predict
from trainers.stage import Work


@dataclass(frozen=True)
class StoredVideo(FrameSource):
    """A video whose frames are in a folder already."""

    name: str

    @property
    def num_source_frames(self) -> int:
        return 0

    def expected_seconds(self) -> float:
        return 0.0

    def run(self, work: Work) -> None:
        raise NotImplementedError("its frames are there")


class Probe:
    """Nearest neighbours among the frames of videos that lie in a folder, in its folders `training` and `validation`.

    Args:
        folder: of the videos; test videos are not among them.
        every_epochs: how often a training is looked at.
    """

    def __init__(self, folder: Path, every_epochs: int) -> None:
        self._sides = {side: sorted((folder / side).iterdir()) for side in ("training", "validation")}
        training, validation = (tuple(StoredVideo(path.name) for path in side) for side in self._sides.values())
        self.config = KnnProbe(training=training, validation=validation, sample_every=1, every_epochs=every_epochs)

    @property
    def inputs(self) -> dict[str, Path]:
        """The folders, as inputs of a `Pretrain`."""
        sides = self._sides.items()
        return {f"probe.{side}.{index}": path for side, paths in sides for index, path in enumerate(paths)}

    def accuracy(self, backbone: nn.Module, size_px: int, device: torch.device, threads: int) -> float:
        """Accuracy with every video in turn left out and classified by the others, in percent: few validate alone."""
        with Frames([path for paths in self._sides.values() for path in paths], labelled_only=True) as frames:
            features = features_of(backbone.to(device), frames, size_px, device, threads)
            labels, videos = torch.from_numpy(frames.labels).long(), torch.from_numpy(frames.video)
        parts = []
        for video in videos.unique():
            asked = videos == video
            found = knn_predict(
                features[~asked],
                labels[~asked],
                features[asked],
                neighbours=self.config.neighbours,
                temperature=self.config.temperature,
                num_classes=int(labels.max()) + 1,
            )
            parts.append((labels[asked].numpy(), found.numpy()))
        return mean_accuracy(parts)
