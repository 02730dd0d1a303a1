"""Products of a new video: its phases, or its features."""

from abc import ABC, abstractmethod
from pathlib import Path

from study.cli.trained_model import TrainedModel
from study.core.graph import key
from study.report import predicted_files
from trainers.artifacts.predicted_video import read_predicted
from trainers.data.ingest.video import Ingest
from trainers.recognition.sequences import read_sequence
from trainers.stage import Stage


class Product(ABC):
    """Product of every video: the stage that computes it, and the files that are written from its artifact."""

    @abstractmethod
    def stage(self, model: TrainedModel, video: Ingest) -> Stage:
        """The last stage of a video."""

    @abstractmethod
    def write(self, model: TrainedModel, video: Ingest, artifact: Path, folder: Path) -> str:
        """Writes the files of a video, and says in a few words what they hold.

        Args:
            model: the models of the trial.
            video: the stage of the video.
            artifact: that of its last stage.
            folder: the folder to write to.
        """


class Predictions(Product):
    """Phases with their probabilities, a picture, and a phase file."""

    def stage(self, model: TrainedModel, video: Ingest) -> Stage:
        return model.predictions_of(video)

    def write(self, model: TrainedModel, video: Ingest, artifact: Path, folder: Path) -> str:
        predicted = read_predicted(artifact, video.name, video.phases)
        stage_key = key(self.stage(model, video))
        title = f"{video.name}, by {model.label}"
        predicted_files.write_predictions(folder, predicted, fps=model.fps, title=title, stage_key=stage_key)
        return f"{len(predicted.frames)} rows, {predicted.seconds / 60:.1f} min"


class Features(Product):
    """Features of the fine-tuned network."""

    def stage(self, model: TrainedModel, video: Ingest) -> Stage:
        return model.features_of(video)

    def write(self, model: TrainedModel, video: Ingest, artifact: Path, folder: Path) -> str:
        sequence = read_sequence(artifact, video.name)
        stage_key = key(self.stage(model, video))
        features = sequence.tensor.numpy()
        predicted_files.write_features(folder, video.name, sequence.frames, features, stage_key=stage_key)
        return f"{len(sequence.frames)} rows of {sequence.features.shape[1]} features"
