"""Features are keyed by their encoder, and networks compute in the precision of the scale or in one that is set."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from search_spaces.protocol.presets import PRESETS
from search_spaces.recipes import public_features, scratch
from study.core.graph import key
from study.core.recipe import bind
from tests.search_spaces.fake_dataset import conditions
from tests.search_spaces.recipes.test_recipes import EVERY_RECIPE, kinds, majority_class, of_type
from trainers.data.ingest.video import Ingest
from trainers.recognition.authors_code import AuthorsEncoderFeatures, AuthorsFineTune
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.sequences import FeatureStage
from trainers.recognition.temporal import TrainTemporal
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

RECIPES = [recipe for recipe in EVERY_RECIPE if recipe is not majority_class]


def precisions(trial: Stage) -> set[str]:
    """Of whatever computes networks on surgical frames."""
    trained = [stage for stage in of_type(trial, Pretrain) if isinstance(stage.frames[0], Ingest)]
    tuned = [stage for stage in of_type(trial, FineTune) if stage.mode == "full"]
    return {
        *(stage.optimisation.precision for stage in trained),
        *(stage.precision for stage in (*of_type(trial, FeatureStage), *tuned)),
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_precision_that_is_set_is_that_of_every_network_on_surgical_frames(recipe: Callable[..., Any], preset: str):
    here = conditions("full", preset)
    assert precisions(recipe(here, seed=0)) == {"fp32" if preset == "official_code" else "bf16"}
    for precision in ("fp32", "bf16"):
        assert precisions(recipe(here, seed=0, precision=precision)) == {precision}


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_an_unknown_precision_is_refused_with_a_sentence(recipe: Callable[..., Any]):
    with pytest.raises(InputError, match="precision=fp16 does not fit: precision takes one of fp32, bf16 or none"):
        bind(recipe, conditions(), 0, {"precision": "fp16"})


def test_the_public_stand_ins_do_not_depend_on_the_precision_that_is_set():
    trials = [public_features(conditions("full"), seed=0, precision=precision) for precision in ("fp32", "bf16")]
    first, second = (of_type(trial, EncoderFeatures)[0].encoder for trial in trials)
    assert key(first) == key(second)


def test_only_the_classifier_that_is_trained_in_all_layers_has_a_precision_in_its_key():
    (linear,) = of_type(public_features(conditions("full"), seed=0), FineTune)
    (full,) = of_type(scratch(conditions("full"), seed=0), FineTune)
    assert (linear.precision, full.precision) == ("fp32", "bf16")


@pytest.mark.parametrize(("scale", "kept"), [("demo", "fp32"), ("full", "fp16")])
@pytest.mark.parametrize("mode", ["linear", "full"])
def test_the_scale_says_what_features_are_stored_as(scale: str, kept: str, mode: str):
    trial = public_features(conditions(scale), seed=0, finetune_mode=mode)
    features = of_type(trial, FeatureStage)
    assert {stage.kept for stage in features} == {kept}
    assert features[0].expected_bytes() == features[0].num_rows * features[0].network.num_features * (
        4 if kept == "fp32" else 2
    )


def test_classifiers_of_all_seeds_and_rates_read_the_features_of_one_encoder():
    slow, fast = (conditions("full", preset) for preset in ("corrected", "paper"))
    trials = [public_features(here, seed=seed, split="official") for here in (slow, fast) for seed in (0, 1)]
    stored = {key(stage) for trial in trials for stage in of_type(trial, FeatureStage)}
    assert len(stored) == 2, "of training and test videos"
    classifiers = [of_type(trial, FineTune)[0] for trial in trials]
    assert len({key(classifier) for classifier in classifiers}) == 4
    assert [each.sample_every for each in classifiers] == [25, 25, 5, 5]


def test_a_classifier_of_all_layers_keeps_its_own_extraction():
    trial = public_features(conditions(), seed=0, finetune_mode="full")
    assert not of_type(trial, EncoderFeatures)
    assert kinds(trial).count("ExtractFeatures") == 3
    (temporal,) = of_type(trial, TrainTemporal)
    assert isinstance(temporal.training, ExtractFeatures)
    assert (temporal.labelled, temporal.classifier) == ((), None)


def test_the_authors_code_feeds_unnormalised_frames_to_an_encoder_that_stays_as_it_is():
    trial = public_features(conditions(preset="official_code"), seed=0, finetune_mode="linear")
    assert {type(stage) for stage in of_type(trial, FeatureStage)} == {AuthorsEncoderFeatures}
    (classifier,) = of_type(trial, FineTune)
    assert isinstance(classifier, AuthorsFineTune)
    assert not any(stage.normalised_input for stage in of_type(trial, AuthorsEncoderFeatures))


def test_stored_features_that_do_not_fit_are_refused():
    (classifier,) = of_type(public_features(conditions(), seed=0), FineTune)
    features, other = classifier.features, public_features(conditions("full"), seed=0)
    assert features is not None
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"mode": "full"}, "mode is full"),
        ({"size_px": 32}, "another size"),
        ({"sample_every": 7}, "sample_every is 7: features are given of every 5th frame"),
        ({"features": replace(features, videos=features.videos[1:])}, f"not those of {features.videos[0].name}"),
        ({"validation_features": None}, "validation_features are missing"),
        ({"encoder": of_type(other, EncoderFeatures)[0].encoder}, "another encoder"),
    ]
    for fields, said in wrong:
        with pytest.raises(InputError, match=said):
            replace(classifier, **fields)
    with pytest.raises(InputError, match="the temporal model reads those, too"):
        ExtractFeatures(model=classifier, videos=features.videos)
    (temporal,) = of_type(public_features(conditions(), seed=0), TrainTemporal)
    with pytest.raises(InputError, match="labelled videos have no features: "):
        replace(temporal, labelled=conditions().videos().test)
