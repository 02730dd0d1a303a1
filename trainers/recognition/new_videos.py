"""Phases of a new video, with their probabilities, by the models of a trial."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trainers.artifacts.audit import read_audit
from trainers.artifacts.predicted_video import PredictedVideo, write_predicted
from trainers.data.ingest.video import Ingest
from trainers.fields import added
from trainers.recognition.finetune import FineTune, load_linear
from trainers.recognition.sequences import FeatureStage, read_sequences
from trainers.recognition.temporal import TrainTemporal, framewise_phases, load_temporal, phase_logits
from trainers.runtime import devices
from trainers.stage import SMALL_SHARE, InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class PredictProbabilities(Stage):
    """The temporal model's probability of every phase for every sampled frame of one video, in `phases.parquet`.

    The most probable phase is the one that `PredictPhases` predicts, to the bit. No annotation is read.

    Attributes:
        model: the trained temporal model.
        features: of the video.
        video: the video.
        classifier: whose frame-wise phases are written, where they are not stored with the features.

    Raises:
        InputError: there are no frame-wise phases.
    """

    uses_gpu: ClassVar[bool] = True

    model: TrainTemporal
    features: FeatureStage
    video: Ingest
    classifier: FineTune | None = added(None)

    @property
    def gpu_share(self) -> float:
        return SMALL_SHARE

    @property
    def title(self) -> str:
        return f"{self.kind} {self.video.name}"

    def expected_seconds(self) -> float:
        return 0.01

    def run(self, work: Work) -> None:
        device = devices.prepare(work.resources)
        (sequence,) = read_sequences(self.features, work.inputs["features"])
        classifier = load_linear(self.classifier, work.inputs["classifier"]) if self.classifier else None
        framewise = framewise_phases(sequence, classifier)
        if framewise is None:
            raise InputError("the trial has no frame-wise classifier: train one on the features of its temporal model.")
        model = load_temporal(self.model, work.inputs["model"], sequence.features.shape[1]).to(device)
        logits = phase_logits(model, sequence, device)
        predicted = PredictedVideo(
            video=self.video.name,
            phases=self.video.phases,
            seconds=read_audit(work.inputs["video"]).seconds,
            frames=sequence.frames,
            prediction=logits.argmax(0).numpy().astype(np.int8),
            framewise=framewise.astype(np.int8),
            probabilities=logits.softmax(0).T.contiguous().numpy(),
        )
        write_predicted(work.output, predicted)
