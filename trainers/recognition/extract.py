"""Features of every frame of a set of videos, from a fine-tuned backbone."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trainers.data.frames import UNLABELLED, Frames
from trainers.data.ingest.video import Ingest
from trainers.fields import Count, added
from trainers.networks.costs import BYTES_PER_NUMBER, inference_cost, reference_seconds
from trainers.networks.features import features_of
from trainers.recognition.finetune import FineTune, load_classifier
from trainers.runtime import devices
from trainers.stage import Cost, InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class ExtractFeatures(Stage):
    """Pooled features and the classifier's frame-wise phase, in one Parquet file per video.

    Frames without a label, in holes of the annotation, are among the rows: the temporal model sees all of a video.

    Attributes:
        model: the fine-tuned network.
        videos: whose frames are read; each has a label somewhere, where it must.
        sample_every: keep every n-th source frame.
        needs_labels: whether a video without any label is refused.
    """

    uses_gpu: ClassVar[bool] = True

    model: FineTune
    videos: tuple[Ingest, ...]
    sample_every: Count = 5
    needs_labels: bool = added(True)

    def expected_seconds(self) -> float:
        return reference_seconds(self.expected_cost())

    def expected_cost(self) -> Cost:
        num_frames = sum(video.num_source_frames for video in self.videos) / self.sample_every
        return inference_cost(self.model.backbone, self.model.size_px, num_frames)

    def expected_bytes(self) -> float:
        num_rows = sum(video.num_source_frames for video in self.videos) / self.sample_every
        return num_rows * BYTES_PER_NUMBER * self.model.backbone.num_features

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        backbone, classifier = load_classifier(self.model, work.inputs["model"])
        backbone.to(device).to(memory_format=torch.channels_last)
        for done, (video, folder) in enumerate(zip(self.videos, work.inputs_of("videos"), strict=True)):
            with Frames([folder], sample_every=self.sample_every) as frames:
                if self.needs_labels and not np.any(frames.labels != UNLABELLED):
                    raise InputError(f"{video.name} has no labelled frame at this rate: ingest it with annotations.")
                if not len(frames):
                    raise InputError(f"{video.name} has no frame at this rate: give a longer video.")
                features = features_of(backbone, frames, self.model.size_px, device, work.resources.threads)
                with torch.inference_mode():
                    framewise = classifier(features).argmax(1).numpy()
                sequence = Sequence(video.name, frames.frames, frames.labels, framewise, features.numpy())
            write_sequence(work.output, sequence)
            work.progress((done + 1) / len(self.videos))


@dataclass(frozen=True)
class Sequence:
    """A video as input of the temporal model; T rows in order of time."""

    video: str
    frames: np.ndarray
    """Source frame index of every row, T."""
    labels: np.ndarray
    """True phase, T; -1 where it is unknown."""
    framewise: np.ndarray
    """The frame-wise classifier's phase, T."""
    features: np.ndarray
    """T×C, float32."""


def write_sequence(folder: Path, sequence: Sequence) -> None:
    """Writes one video's rows to `<video>.parquet`."""
    flat = pa.array(sequence.features.reshape(-1), pa.float32())
    table = pa.table(
        {
            "frame": pa.array(sequence.frames, pa.int32()),
            "label": pa.array(sequence.labels, pa.int8()),
            "framewise": pa.array(sequence.framewise, pa.int8()),
            "feature": pa.FixedSizeListArray.from_arrays(flat, sequence.features.shape[1]),
        }
    )
    pq.write_table(table, folder / f"{sequence.video}.parquet")


def read_sequence(folder: Path, video: str) -> Sequence:
    """Reads one video's rows from `<video>.parquet`."""
    table = pq.read_table(folder / f"{video}.parquet").combine_chunks()
    frames, labels, framewise = (table[name].to_numpy() for name in ("frame", "label", "framewise"))
    features = np.concatenate([chunk.flatten().to_numpy() for chunk in table["feature"].chunks])
    return Sequence(video, frames, labels, framewise, features.reshape(len(frames), -1))


def read_sequences(stage: ExtractFeatures, folder: Path) -> list[Sequence]:
    """All videos of an `ExtractFeatures` artifact, in the stage's order."""
    return [read_sequence(folder, video.name) for video in stage.videos]
