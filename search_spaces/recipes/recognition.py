"""Phase recognition on an encoder: the stages from fine-tuning to metrics, common to all recipes."""

from dataclasses import fields
from typing import Any, Literal

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.settings import USUAL, FineTuneMode, LabelSettings
from trainers.data.ingest.annotated_rows import AnnotatedRows
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.supervised import Selection
from trainers.recognition.authors_code import (
    AuthorsEvaluate,
    AuthorsFineTune,
    AuthorsPredictPhases,
    AuthorsTrainTemporal,
)
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import LEARNING_RATES, FineTune
from trainers.recognition.temporal import PredictPhases, TemporalNetwork, TrainTemporal
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
    videos = conditions.videos(settings.get("split"))
    labelled = conditions.label_draw(seed, settings.get("label_fraction"), settings.get("split")).videos
    validation = videos.test if conditions.preset.selection == "test" else videos.validation
    mode = settings.get("finetune_mode")
    classifier = _classifier(conditions, encoder, seed, labelled, validation, mode, classifier_start)
    temporal = _temporal_model(
        conditions,
        seed,
        training=_features(conditions, classifier, labelled),
        validation=_features(conditions, classifier, validation) if validation else None,
    )
    test = _features(conditions, classifier, videos.test)
    return evaluated(conditions, _predictions(conditions, temporal, test))


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
    conditions: Conditions,
    encoder: EncoderStage,
    seed: int,
    labelled: tuple[Ingest, ...],
    validation: tuple[Ingest, ...],
    mode: FineTuneMode | None,
    start: ClassifierStart,
) -> FineTune:
    """The frame-wise classifier; a mode that is not the preset's is trained at its usual rate."""
    preset, scale = conditions.preset, conditions.scale
    classifier = FineTune(
        encoder=encoder,
        videos=labelled,
        validation=validation,
        mode=mode or preset.finetune_mode,
        num_phases=len(conditions.dataset.phases),
        size_px=scale.size_px,
        sample_every=conditions.sample_every(conditions.training_fps),
        epochs=scale.finetune_epochs,
        learning_rate=LEARNING_RATES[mode] if mode else preset.finetune_learning_rate,
        selection=_selection(conditions),
        classifier_start=start,
        seed=seed,
    )
    if not preset.new_optimiser_every_epoch and preset.normalised_input:
        return classifier
    return AuthorsFineTune(
        **_values(classifier),
        normalised_input=preset.normalised_input,
        new_optimiser_every_epoch=preset.new_optimiser_every_epoch,
    )


def _features(conditions: Conditions, classifier: FineTune, videos: tuple[Ingest, ...]) -> ExtractFeatures:
    every = conditions.sample_every(conditions.scale.feature_fps)
    return ExtractFeatures(model=classifier, videos=videos, sample_every=every)


def _temporal_model(
    conditions: Conditions, seed: int, *, training: ExtractFeatures, validation: ExtractFeatures | None
) -> TrainTemporal:
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
        seed=seed,
    )
    if not preset.new_optimiser_every_epoch and not preset.dropout_in_first_epoch_only and over == "videos":
        return model
    return AuthorsTrainTemporal(
        **_values(model),
        new_optimiser_every_epoch=preset.new_optimiser_every_epoch,
        dropout_in_first_epoch_only=preset.dropout_in_first_epoch_only,
        accuracy_over=over,
    )


def _predictions(conditions: Conditions, model: TrainTemporal, features: ExtractFeatures) -> PredictPhases:
    predictions = PredictPhases(model=model, features=features)
    if not conditions.preset.as_long_as_annotated:
        return predictions
    annotations = AnnotatedRows(videos=features.videos, sample_every=features.sample_every)
    return AuthorsPredictPhases(**_values(predictions), annotations=annotations)


def _selection(conditions: Conditions) -> Selection:
    return "last" if conditions.preset.selection == "last" else "validation"


def _values(stage: Stage) -> dict[str, Any]:
    """The fields of a stage, to make a variant of it from."""
    return {field.name: getattr(stage, field.name) for field in fields(stage)}  # type: ignore[arg-type]
