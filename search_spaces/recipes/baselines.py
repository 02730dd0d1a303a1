"""Recipes of baselines: encoders that are never trained on surgical frames without labels, and no encoder at all."""

from typing import Unpack

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.building_blocks import free_weights, network, supervised_weights
from search_spaces.recipes.free_models import free_model_named
from search_spaces.recipes.recognition import evaluated, recognition
from search_spaces.recipes.settings import DataSettings, FineTuneMode, LabelSettings
from study.core.recipe import named_settings
from trainers.evaluation.evaluate import Evaluate
from trainers.networks.architectures import ArchitectureName
from trainers.recognition.baselines import MajorityClass
from trainers.ssl.untrained import Untrained


@named_settings
def public_features(
    conditions: Conditions, *, seed: int, free_model: str | None = None, **settings: Unpack[LabelSettings]
) -> Evaluate:
    """Free weights as they are, never pre-trained on surgical frames.

    Args:
        conditions: preset, scale and dataset.
        seed: of everything drawn in this trial.
        free_model: the name of public weights, or of a stand-in; the self-supervised ones where None.
        **settings: videos and labels.
    """
    free = free_weights(conditions) if free_model is None else free_model_named(conditions, free_model)
    return recognition(conditions, free, seed, settings)


@named_settings
def supervised_features(conditions: Conditions, *, seed: int, **settings: Unpack[LabelSettings]) -> Evaluate:
    """Supervised public weights as they are, never pre-trained on surgical frames."""
    return recognition(conditions, supervised_weights(conditions), seed, settings, classifier_start="default")


@named_settings
def scratch(
    conditions: Conditions,
    *,
    seed: int,
    finetune_mode: FineTuneMode = "full",
    architecture: ArchitectureName | None = None,
    **settings: Unpack[DataSettings],
) -> Evaluate:
    """No pre-training: every layer learns from labelled frames alone, from a random start."""
    start = Untrained(backbone=network(conditions, {"architecture": architecture}), seed=seed)
    labels: LabelSettings = {**settings, "finetune_mode": finetune_mode}
    return recognition(conditions, start, seed, labels, classifier_start="default")


@named_settings
def untrained(
    conditions: Conditions,
    *,
    seed: int,
    architecture: ArchitectureName | None = None,
    **settings: Unpack[LabelSettings],
) -> Evaluate:
    """A backbone at its random start, against which the gain of any pre-training is measured."""
    start = Untrained(backbone=network(conditions, {"architecture": architecture}), seed=seed)
    return recognition(conditions, start, seed, settings)


@named_settings
def majority_class(conditions: Conditions, *, seed: int, **settings: Unpack[DataSettings]) -> Evaluate:
    """The most frequent phase of the labelled training videos, predicted for every frame."""
    split = settings.get("split")
    predictions = MajorityClass(
        training_videos=conditions.label_draw(seed, settings.get("label_fraction"), split).videos,
        test_videos=conditions.videos(split).test,
        sample_fps=conditions.scale.feature_fps,
    )
    return evaluated(conditions, predictions)
