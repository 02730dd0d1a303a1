"""Feature sequences of videos: the stages that leave them, how they are computed, and their files."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from trainers.data.frames import UNLABELLED, Frames
from trainers.data.ingest.video import Ingest
from trainers.fields import Kept, Precision
from trainers.networks.backbones import FeatureExtractor
from trainers.networks.costs import inference_cost, reference_seconds
from trainers.networks.features import features_of, frozen
from trainers.runtime import devices
from trainers.runtime.files import replacing
from trainers.stage import Cost, InputError, Stage, Work

TYPES: dict[Kept, tuple[pa.DataType, type]] = {"fp32": (pa.float32(), np.float32), "fp16": (pa.float16(), np.float16)}


class FeatureStage(Stage):
    """A stage that leaves the features of every frame of a set of videos, one Parquet file per video."""

    uses_gpu: ClassVar[bool] = True
    is_removable: ClassVar[bool] = True

    videos: tuple[Ingest, ...]
    """Whose frames are read; each has a label somewhere, where it must."""
    sample_every: int
    """Keep every n-th source frame."""
    needs_labels: bool
    """Whether a video without any label is refused."""
    precision: Precision
    """Of the forward pass."""
    kept: Kept
    """Type that features are stored as."""

    @property
    @abstractmethod
    def network(self) -> FeatureExtractor:
        """The network whose features they are."""

    @property
    @abstractmethod
    def input_px(self) -> int:
        """Side of its square input."""

    @property
    def num_rows(self) -> float:
        """Rows of all videos, roughly."""
        return sum(video.num_source_frames for video in self.videos) / self.sample_every

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        return inference_cost(self.network, self.input_px, self.num_rows, self.precision)

    def expected_bytes(self) -> float:
        return self.num_rows * np.dtype(TYPES[self.kept][1]).itemsize * self.network.num_features


@dataclass(frozen=True)
class Sequence:
    """A video as input of the temporal model; T rows in order of time."""

    video: str
    frames: np.ndarray
    """Source frame index of every row, T."""
    labels: np.ndarray
    """True phase, T; -1 where it is unknown."""
    framewise: np.ndarray | None
    """The frame-wise classifier's phase, T, where it is stored beside the features."""
    features: np.ndarray
    """T×C, as they are stored: float32 or float16."""

    @property
    def tensor(self) -> Tensor:
        """The features in single precision, T×C."""
        return torch.from_numpy(self.features).float()


def write_features_of(stage: FeatureStage, network: nn.Module, work: Work, classifier: nn.Linear | None = None) -> None:
    """Computes and writes the sequence of every video of a stage that is not written yet.

    Args:
        stage: whose features they are.
        network: images to features.
        work: the folders of the videos, and the one to write to.
        classifier: whose phases are stored beside the features.

    Raises:
        InputError: a video has no frame, or no label where it must have one.
    """
    device = devices.prepare(work.resources)
    computing = frozen(network.to(device).to(memory_format=torch.channels_last), stage.precision)
    for done, (video, folder) in enumerate(zip(stage.videos, work.inputs_of("videos"), strict=True)):
        if not (work.output / _file_name(video.name)).exists():
            with Frames([folder], sample_every=stage.sample_every) as frames:
                if stage.needs_labels and not np.any(frames.labels != UNLABELLED):
                    raise InputError(f"{video.name} has no labelled frame at this rate: ingest it with annotations.")
                if not len(frames):
                    raise InputError(f"{video.name} has no frame at this rate: give a longer video.")
                threads = work.resources.threads
                features = features_of(computing, frames, stage.input_px, device, threads, stage.precision)
                framewise = None if classifier is None else phases_of(classifier, features)
                stored: np.ndarray = features.numpy().astype(TYPES[stage.kept][1], copy=False)
                write_sequence(work.output, Sequence(video.name, frames.frames, frames.labels, framewise, stored))
        work.progress((done + 1) / len(stage.videos))


@torch.inference_mode()
def phases_of(classifier: nn.Linear, features: Tensor) -> np.ndarray:
    """The phase that a classifier tells from features T×C in single precision, T."""
    phases: np.ndarray = classifier(features).argmax(1).numpy()
    return phases


def write_sequence(folder: Path, sequence: Sequence) -> None:
    """Writes one video's rows to `<video>.parquet`, whole or not at all."""
    kind = pa.from_numpy_dtype(sequence.features.dtype)
    flat = pa.array(sequence.features.reshape(-1), kind)
    columns = {"frame": pa.array(sequence.frames, pa.int32()), "label": pa.array(sequence.labels, pa.int8())}
    if sequence.framewise is not None:
        columns["framewise"] = pa.array(sequence.framewise, pa.int8())
    columns["feature"] = pa.FixedSizeListArray.from_arrays(flat, sequence.features.shape[1])
    with replacing(folder / _file_name(sequence.video)) as path:
        pq.write_table(pa.table(columns), path)


def read_sequence(folder: Path, video: str) -> Sequence:
    """Reads one video's rows from `<video>.parquet`."""
    table = pq.read_table(folder / _file_name(video)).combine_chunks()
    frames, labels = (table[name].to_numpy() for name in ("frame", "label"))
    framewise = table["framewise"].to_numpy() if "framewise" in table.column_names else None
    features = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table["feature"].chunks])
    return Sequence(video, frames, labels, framewise, features.reshape(len(frames), -1))


def read_sequences(stage: FeatureStage, folder: Path) -> list[Sequence]:
    """All videos of an artifact of features, in the stage's order."""
    return [read_sequence(folder, video.name) for video in stage.videos]


def _file_name(video: str) -> str:
    return f"{video}.parquet"
