"""Resolution of TRIAL in a command line: the models that a finished trial of a study or a search has trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from study.cli.history import AskedTrial, asked_trials_of, check_names_trial, known_asked_trials
from study.cli.recorded import recorded_name, split_trial
from study.core.graph import key
from study.core.store import Store
from study.core.study import Trial
from study.home.request import Request
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.new_videos import PredictProbabilities
from trainers.recognition.sequences import FeatureStage
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.encoders import EncoderStage
from trainers.stage import InputError, Stage

KEY_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """Fine-tuned network and temporal model of a trial.

    Attributes:
        label: of the trial.
        temporal: the temporal model, with the frame-wise classifier on the features that it was trained on.
    """

    label: str
    temporal: TrainTemporal

    @property
    def like(self) -> Ingest:
        """The stage of a video that it was trained on."""
        return self.temporal.training.videos[0]

    @property
    def fps(self) -> float:
        """Rate of the rows that it predicts."""
        return NOMINAL_FPS / self.temporal.training.sample_every

    @property
    def classifier(self) -> FineTune:
        """The frame-wise classifier on the same features.

        Raises:
            InputError: the trial has none.
        """
        training, found = self.temporal.training, self.temporal.classifier
        if isinstance(training, ExtractFeatures):
            found = training.model
        if found is None:
            raise InputError(f"{self.label} has no frame-wise classifier: its temporal model was trained without one.")
        return found

    @property
    def encoder(self) -> EncoderStage:
        """The pre-trained encoder."""
        training = self.temporal.training
        return training.encoder if isinstance(training, EncoderFeatures) else self.classifier.encoder

    def features_of(self, video: Ingest) -> FeatureStage:
        """The stage of a new video's features."""
        training = self.temporal.training
        assert isinstance(training, EncoderFeatures | ExtractFeatures), "features are of one of these"
        return replace(training, videos=(video,), needs_labels=False)

    def predictions_of(self, video: Ingest) -> PredictProbabilities:
        """The stage of the phases of a new video."""
        features, apart = self.features_of(video), isinstance(self.temporal.training, EncoderFeatures)
        classifier = self.classifier if apart else None
        return PredictProbabilities(model=self.temporal, features=features, video=video, classifier=classifier)


@dataclass(frozen=True, kw_only=True)
class FoundTrial:
    """A trial with its models.

    Attributes:
        model: the models.
        trial: the trial.
        request: that it belongs to.
        verb: of the command that asks for it.
    """

    model: TrainedModel
    trial: Trial
    request: Request
    verb: Literal["run", "search"]


def find_model(home: Path, target: str) -> TrainedModel:
    """The trained model of STUDY/ROW, of a trial's label after the study, or of the beginning of a key.

    Raises:
        InputError: there is no such trial, there are several, it has no model, or it is not trained yet.
    """
    model = find_trial(home, target).model
    if (
        isinstance(model.temporal.training, EncoderFeatures)
        and Store(home, create=False).find(key(model.encoder)) is None
    ):
        raise InputError(
            f"the encoder of {target} (stage {key(model.encoder)[:KEY_SHOWN]}) is not stored any more: run the study "
            "again, which computes what is missing."
        )
    return model


def find_trial(home: Path, target: str) -> FoundTrial:
    """The trial that `find_model` finds the model of.

    Raises:
        InputError: as there.
    """
    store = Store(home, create=False)
    study, row = split_trial(target)
    found = _trials_of_key(home, store, target) if row is None else _trials_of_row(home, study, row)
    by_model = {key(last_model(asked.trial)): asked for asked in found}
    if len(by_model) > 1:
        named = ", ".join(f"{model[:KEY_SHOWN]} ({asked.trial.label})" for model, asked in by_model.items())
        raise InputError(f"{target} has {len(by_model)} trained models: name one by its key: {named}.")
    ((model_key, asked),) = by_model.items()
    trial, temporal = asked.trial, last_model(asked.trial)
    label = trial.label if row is None else f"{study.rpartition(':')[2]}/{trial.label}"
    model = TrainedModel(label=label, temporal=temporal)
    if store.find(model_key) is None or store.find(key(model.classifier)) is None:
        raise InputError(
            f"{target} ({trial.label}) is not trained yet: run its study first; `freelunch status` shows the command."
        )
    return FoundTrial(model=model, trial=trial, request=asked.request, verb=asked.verb)


def last_model(trial: Trial) -> TrainTemporal:
    """The temporal model at the end of a trial.

    Raises:
        InputError: it has none.
    """
    model = _model(trial.stage)
    if model is None:
        raise InputError(
            f"{trial.label} has no model that could predict phases of a video: name a trial that trains one; of a "
            "search, the one that the command in its report evaluates."
        )
    return model


def _model(stage: Stage) -> TrainTemporal | None:
    if isinstance(stage, Evaluate):
        stage = stage.predictions
    if isinstance(stage, PredictPhases):
        stage = stage.model
    return stage if isinstance(stage, TrainTemporal) else None


def _trials_of_row(home: Path, study: str, row: str) -> Sequence[AskedTrial]:
    return asked_trials_of(recorded_name(home, study), row, home)


def _trials_of_key(home: Path, store: Store, target: str) -> Sequence[AskedTrial]:
    """The trials one of whose last stages, from the temporal model on, has a key that begins so."""
    check_names_trial(target, home)
    found = [
        asked
        for asked in known_asked_trials(home)
        if any(each.startswith(target) for each in _last_keys(asked.trial.stage))
    ]
    if found:
        return found
    whole = store.key_beginning(target)
    raise InputError(
        f"{target} is the stage {whole[:KEY_SHOWN]}, no trial: name the trial as STUDY/ROW, or its temporal model."
    )


def _last_keys(stage: Stage) -> Iterator[str]:
    yield key(stage)
    if isinstance(stage, Evaluate):
        yield from _last_keys(stage.predictions)
    elif isinstance(stage, PredictPhases):
        yield key(stage.model)
