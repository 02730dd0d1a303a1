"""Phase recognition on an encoder: the stages from fine-tuning to metrics, common to all recipes."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.building_blocks import precision
from search_spaces.recipes.settings import USUAL, FineTuneMode, LabelSettings
from trainers.data.datasets.splits import Split
from trainers.data.ingest.annotated_rows import AnnotatedRows
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.supervised import Selection
from trainers.recognition.authors_code import (
    AuthorsEncoderFeatures,
    AuthorsEvaluate,
    AuthorsFineTune,
    AuthorsPredictPhases,
    AuthorsTrainTemporal,
)
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import LEARNING_RATES, FineTune
from trainers.recognition.multi_stage_tcn import TemporalNetwork
from trainers.recognition.sequences import FeatureStage
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.encoders import EncoderStage
from trainers.stage import Stage

ClassifierStart = Literal["normal", "default"]


def recognition(
    conditions: Conditions,
    encoder: EncoderStage,
    seed: int,
    settings: LabelSettings = USUAL,
    *,
    classifier_start: ClassifierStart = "normal",
) -> Evaluate:
    """Phase recognition on an encoder: fine-tuning, features, temporal model, test predictions, metrics.

    Args:
        conditions: preset, scale and dataset.
        encoder: whose features are recognised, after fine-tuning.
        seed: of everything drawn.
        settings: split, label fraction and fine-tuned layers, where they are not the preset's.
        classifier_start: distribution of the classifier's first weights.
    """
    asked = _Asked(conditions, encoder, seed, settings, classifier_start)
    return _on_tuned_backbone(asked) if asked.mode == "full" else _on_frozen_backbone(asked)


def _on_tuned_backbone(asked: "_Asked") -> Evaluate:
    classifier = _classifier(asked)
    sides = (asked.labelled, asked.validation, asked.videos.test)
    training, validation, test = (_tuned_features(asked, classifier, side) for side in sides)
    temporal = _temporal_model(asked, training=training, validation=validation if asked.validation else None)
    return evaluated(asked.conditions, _predictions(asked.conditions, temporal, test))


def _on_frozen_backbone(asked: "_Asked") -> Evaluate:
    """Its features are those of all training videos: draws of labels share them."""
    sides = (asked.videos.train, asked.validation, asked.videos.test)
    training, validation, test = (_encoder_features(asked, side) for side in sides)
    stored = validation if asked.validation else None
    classifier = _classifier(asked, training, stored)
    temporal = _temporal_model(asked, training=training, validation=stored, classifier=classifier)
    return evaluated(asked.conditions, _predictions(asked.conditions, temporal, test, classifier))


@dataclass(frozen=True)
class _Asked:
    """The arguments of `recognition`, and what they say together."""

    conditions: Conditions
    encoder: EncoderStage
    seed: int
    settings: LabelSettings
    classifier_start: ClassifierStart

    @cached_property
    def videos(self) -> Split[Ingest]:
        """The sides of the split."""
        return self.conditions.videos(self.settings.get("split"))

    @cached_property
    def labelled(self) -> tuple[Ingest, ...]:
        """The training videos whose labels are seen."""
        settings = self.settings
        return self.conditions.label_draw(self.seed, settings.get("label_fraction"), settings.get("split")).videos

    @property
    def validation(self) -> tuple[Ingest, ...]:
        """The videos that epochs are chosen on."""
        return self.videos.test if self.conditions.preset.selection == "test" else self.videos.validation

    @property
    def mode(self) -> FineTuneMode:
        """Layers that are fine-tuned."""
        return self.settings.get("finetune_mode") or self.conditions.preset.finetune_mode

    @property
    def feature_every(self) -> int:
        """Source frames from one row of features to the next."""
        return self.conditions.sample_every(self.conditions.scale.feature_fps)


def evaluated(conditions: Conditions, predictions: Stage) -> Evaluate:
    """The metrics of predictions, as the preset counts them."""
    metrics = Evaluate(
        predictions=predictions,
        fps=conditions.scale.feature_fps,
        relaxed_fps=conditions.preset.relaxed_fps,
        phases=conditions.dataset.phases,
    )
    return AuthorsEvaluate(**_values(metrics)) if conditions.preset.zero_std_of_one else metrics


def _classifier(
    asked: _Asked, features: EncoderFeatures | None = None, validation_features: EncoderFeatures | None = None
) -> FineTune:
    """The frame-wise classifier; a mode that is not the preset's is trained at its usual rate."""
    conditions, mode = asked.conditions, asked.settings.get("finetune_mode")
    preset, scale = conditions.preset, conditions.scale
    classifier = FineTune(
        encoder=asked.encoder,
        videos=asked.labelled,
        validation=asked.validation,
        mode=asked.mode,
        num_phases=len(conditions.dataset.phases),
        size_px=scale.size_px,
        sample_every=conditions.sample_every(conditions.training_fps),
        epochs=scale.finetune_epochs,
        learning_rate=LEARNING_RATES[mode] if mode else preset.finetune_learning_rate,
        selection=_selection(conditions),
        classifier_start=asked.classifier_start,
        seed=asked.seed,
        features=features,
        validation_features=validation_features,
        precision=precision(conditions, asked.settings) if asked.mode == "full" else "fp32",
    )
    if not preset.new_optimiser_every_epoch and preset.normalised_input:
        return classifier
    return AuthorsFineTune(
        **_values(classifier),
        normalised_input=preset.normalised_input,
        new_optimiser_every_epoch=preset.new_optimiser_every_epoch,
    )


def _tuned_features(asked: _Asked, classifier: FineTune, videos: tuple[Ingest, ...]) -> ExtractFeatures:
    """Features of the fine-tuned backbone."""
    conditions = asked.conditions
    return ExtractFeatures(
        model=classifier,
        videos=videos,
        sample_every=asked.feature_every,
        precision=precision(conditions, asked.settings),
        kept=conditions.scale.features_kept,
    )


def _encoder_features(asked: _Asked, videos: tuple[Ingest, ...]) -> EncoderFeatures:
    """Features of the encoder as it is."""
    conditions = asked.conditions
    features = EncoderFeatures(
        encoder=asked.encoder,
        videos=videos,
        size_px=conditions.scale.size_px,
        sample_every=asked.feature_every,
        precision=precision(conditions, asked.settings),
        kept=conditions.scale.features_kept,
    )
    if conditions.preset.normalised_input:
        return features
    return AuthorsEncoderFeatures(**_values(features), normalised_input=False)


def _temporal_model(
    asked: _Asked, *, training: FeatureStage, validation: FeatureStage | None, classifier: FineTune | None = None
) -> TrainTemporal:
    conditions = asked.conditions
    preset, scale, over = conditions.preset, conditions.scale, conditions.preset.temporal_accuracy_over
    model = TrainTemporal(
        training=training,
        validation=validation,
        network=TemporalNetwork(
            num_stages=preset.temporal_stages, num_layers=scale.temporal_layers, num_maps=scale.temporal_maps
        ),
        num_phases=len(conditions.dataset.phases),
        epochs=scale.temporal_epochs,
        learning_rate=scale.temporal_learning_rate,
        halve_after=scale.temporal_halve_after,
        selection=_selection(conditions),
        seed=asked.seed,
        labelled=() if asked.labelled == training.videos else asked.labelled,
        classifier=classifier,
    )
    if not preset.new_optimiser_every_epoch and not preset.dropout_in_first_epoch_only and over == "videos":
        return model
    return AuthorsTrainTemporal(
        **_values(model),
        new_optimiser_every_epoch=preset.new_optimiser_every_epoch,
        dropout_in_first_epoch_only=preset.dropout_in_first_epoch_only,
        accuracy_over=over,
    )


def _predictions(
    conditions: Conditions, model: TrainTemporal, features: FeatureStage, classifier: FineTune | None = None
) -> PredictPhases:
    predictions = PredictPhases(model=model, features=features, classifier=classifier)
    if not conditions.preset.as_long_as_annotated:
        return predictions
    annotations = AnnotatedRows(videos=features.videos, sample_every=features.sample_every)
    return AuthorsPredictPhases(**_values(predictions), annotations=annotations)


def _selection(conditions: Conditions) -> Selection:
    return "last" if conditions.preset.selection == "last" else "validation"


def _values(stage: Stage) -> dict[str, Any]:
    """The fields of a stage, to make a variant of it from."""
    return {field.name: getattr(stage, field.name) for field in fields(stage)}  # type: ignore[arg-type]
