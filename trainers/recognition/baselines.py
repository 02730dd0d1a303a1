"""Baselines that use no image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainers.artifacts.predictions import VideoPredictions, write_predictions
from trainers.data.frames import UNLABELLED, FrameStore
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest
from trainers.fields import Rate
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class MajorityClass(Stage):
    """Predicts everywhere the phase that most training frames have; of several, the one that comes first.

    Attributes:
        training_videos: the videos whose labels are counted.
        test_videos: the videos to predict.
        sample_fps: rate at which both are sampled, which divides the one they are stored at.
    """

    training_videos: tuple[Ingest, ...]
    test_videos: tuple[Ingest, ...]
    sample_fps: Rate

    def __post_init__(self) -> None:
        super().__post_init__()
        for video in (*self.training_videos, *self.test_videos):
            if not 0 < self.sample_fps <= video.fps or video.fps % self.sample_fps:
                raise InputError(
                    f"MajorityClass.sample_fps is {self.sample_fps:g}, which does not divide the {video.fps:g} fps at "
                    f"which {video.name} is stored: choose a rate that does, or store the videos at another."
                )

    def run(self, work: Work) -> None:
        majority = self._majority(work.inputs_of("training_videos"))
        write_predictions(work.output, self._predictions(work.inputs_of("test_videos"), majority))

    def expected_seconds(self) -> float:
        return 0.01 * (len(self.training_videos) + len(self.test_videos))

    def _majority(self, folders: list[Path]) -> int:
        labels = np.concatenate([self._read(folder)[1] for folder in folders])
        labels = labels[labels != UNLABELLED]
        if len(labels) == 0:
            names = ", ".join(video.name for video in self.training_videos)
            raise InputError(f"no frame of the training videos ({names}) is labelled: there is no majority to predict")
        return int(np.bincount(labels).argmax())

    def _predictions(self, folders: list[Path], majority: int) -> Iterator[VideoPredictions]:
        for video, folder in zip(self.test_videos, folders, strict=True):
            frames, truth = self._read(folder)
            prediction = np.full_like(truth, majority)
            yield VideoPredictions(video=video.name, frames=frames, truth=truth, prediction=prediction)

    def _read(self, folder: Path) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
        """Frame indices and labels of the sampled rows of a frame store."""
        with FrameStore(folder) as store:
            sampled = store.frames % round(NOMINAL_FPS / self.sample_fps) == 0
            return store.frames[sampled], store.labels[sampled]
