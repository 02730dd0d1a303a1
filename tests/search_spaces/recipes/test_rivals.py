from collections.abc import Callable
from typing import TypeVar

import pytest

from search_spaces.recipes import (
    combined,
    distilled,
    free_weights,
    initialised,
    majority_class,
    moco,
    public_features,
    regioncl,
    scratch,
    simsiam,
    supervised_features,
    supervised_weights,
    swav,
    untrained,
)
from search_spaces.studies.catalogue import STUDIES
from study.core.graph import key, walk
from study.core.study import setting_notes
from tests.search_spaces.fake_dataset import conditions
from trainers.data.ingest.video import Video
from trainers.recognition.baselines import MajorityClass
from trainers.recognition.finetune import FineTune
from trainers.recognition.sequences import FeatureStage
from trainers.recognition.temporal import TrainTemporal
from trainers.ssl.larc import LARCOptimisation
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.transfer import CombinedMoCo
from trainers.stage import InputError, Stage

Kind = TypeVar("Kind", bound=Stage)
RIVALS = (swav, simsiam, regioncl, combined, initialised)
LABELLED = (*RIVALS, distilled, moco, public_features, supervised_features, scratch, untrained)


def of_type(stage: Stage, cls: type[Kind]) -> list[Kind]:
    return [each for each in walk(stage).values() if isinstance(each, cls)]


def student(trial: Stage) -> Pretrain:
    return of_type(trial, Pretrain)[-1]


def on_surgical_frames(trial: Stage) -> list[Pretrain]:
    return [stage for stage in of_type(trial, Pretrain) if isinstance(stage.frames[0], Video)]


@pytest.mark.parametrize("recipe", [*RIVALS, scratch, supervised_features])
@pytest.mark.parametrize("split", ["selection", "official"])
def test_no_test_video_is_among_the_inputs_of_anything_that_is_trained(recipe: Callable[..., Stage], split: str):
    here = conditions()
    trial = recipe(here, seed=0, split=split)
    test_videos = {key(video) for video in here.videos(split).test}
    for stage in walk(trial).values():
        if isinstance(stage, Pretrain | FineTune | TrainTemporal):
            assert not test_videos & walk(stage).keys(), stage.kind
    assert test_videos <= walk(trial).keys()


def test_the_recipes_of_the_rivals_papers_hold_at_full_scale():
    here = conditions("full")
    of_swav, of_simsiam, of_regioncl = (student(recipe(here, seed=0)) for recipe in (swav, simsiam, regioncl))
    assert isinstance(of_swav.optimisation, LARCOptimisation)
    told = of_swav.optimisation
    assert (told.batch_size, told.learning_rate, told.weight_decay, told.epochs) == (256, 0.6, 1e-6, 200)
    assert told.final_learning_rate == pytest.approx(0.0006)
    assert of_swav.augmentation.sizes_px == (224, 224, 96, 96, 96, 96, 96, 96)
    told = of_simsiam.optimisation
    assert (told.batch_size, told.learning_rate, told.weight_decay, told.epochs) == (512, 0.1, 1e-4, 100)
    assert {each.backbone.batch_norm_splits for each in (of_swav, of_simsiam)} == {1}
    method = of_regioncl.method
    assert (method.temperature, method.queue_size, method.smallest_region, method.largest_region) == (0.2, 2048, 3, 5)
    assert of_regioncl.backbone.batch_norm_splits == 4


@pytest.mark.parametrize("recipe", [*RIVALS, distilled, moco])
def test_weight_decay_of_pre_training_can_be_set_in_every_recipe_that_has_any(recipe: Callable[..., Stage]):
    here = conditions()
    decays = {stage.optimisation.weight_decay for stage in on_surgical_frames(recipe(here, seed=0, weight_decay=0.5))}
    assert decays == {0.5}
    usual = {stage.optimisation.weight_decay for stage in on_surgical_frames(recipe(here, seed=0))}
    assert usual == {1e-6 if recipe is swav else 1e-4}
    with pytest.raises(InputError, match=r"weight_decay is -0\.5: it must be at least 0"):
        recipe(here, seed=0, weight_decay=-0.5)


def test_features_are_combined_with_those_of_the_free_backbone():
    for combination, factor in (("sum", 1), ("concatenation", 2)):
        trial = combined(conditions(), seed=0, combination=combination)
        method = student(trial).method
        assert (method.combination, method.teacher) == (combination, free_weights(conditions()))
        (classifier,) = of_type(trial, FineTune)
        assert classifier.backbone.num_features == factor * student(trial).backbone.num_features


def test_initialization_starts_from_the_teacher_that_distillation_has():
    trial, ours = initialised(conditions(), seed=0), distilled(conditions(), seed=0)
    assert student(trial).method.start == student(ours).method.teacher
    assert student(trial).method.trains == "all"


def test_the_dictionary_can_be_given_in_batches():
    for recipe in (distilled, moco, regioncl, combined, initialised):
        method = student(recipe(conditions(), seed=0, queue_batches=4)).method
        assert method.queue_size == 4 * conditions().scale.batch_size
    assert key(distilled(conditions(), seed=0, queue_batches=16)) == key(distilled(conditions(), seed=0))
    smaller = student(distilled(conditions(), seed=0, queue_batches=4, batch_size=32))
    assert smaller.method.queue_size == 128


@pytest.mark.parametrize("batches", [0, -1])
def test_a_dictionary_of_no_batch_is_refused(batches: int):
    with pytest.raises(InputError, match=f"queue_size is {64 * batches}: it must be at least 1"):
        distilled(conditions(), seed=0, queue_batches=batches)


@pytest.mark.parametrize("recipe", [each for each in LABELLED if each is not scratch])
def test_every_layer_is_fine_tuned_at_its_own_rate(recipe: Callable[..., Stage]):
    (whole,) = of_type(recipe(conditions(), seed=0, finetune_mode="full"), FineTune)
    (linear,) = of_type(recipe(conditions(), seed=0), FineTune)
    assert (whole.mode, whole.learning_rate) == ("full", 1e-4)
    assert (linear.mode, linear.learning_rate) == ("linear", 1e-2)
    assert whole.encoder == linear.encoder


def test_scratch_trains_every_layer_from_the_start_of_a_student_of_its_seed():
    (classifier,) = of_type(scratch(conditions(), seed=3), FineTune)
    assert (classifier.mode, classifier.classifier_start) == ("full", "default")
    assert (classifier.encoder.kind, classifier.encoder.seed) == ("Untrained", 3)


@pytest.mark.parametrize("recipe", LABELLED)
def test_a_fraction_of_labels_reaches_everything_that_learns_from_labels_and_nothing_else(
    recipe: Callable[..., Stage],
):
    here = conditions(num_videos=40)
    some, every = (recipe(here, seed=1, label_fraction=fraction) for fraction in (0.25, 1.0))
    (classifier,), (of_all,) = of_type(some, FineTune), of_type(every, FineTune)
    assert len(classifier.videos) == 4
    assert set(classifier.videos) < set(of_all.videos) == set(here.videos().train)
    assert classifier.validation == of_all.validation
    assert classifier.encoder == of_all.encoder
    (temporal,) = of_type(some, TrainTemporal)
    assert temporal.videos == classifier.videos
    tested = [each.videos for each in of_type(some, FeatureStage)]
    assert here.videos().test in tested
    if classifier.mode == "linear":  # no label decides the features: draws share them
        assert set(of_type(some, FeatureStage)) == set(of_type(every, FeatureStage))
    assert key(every) == key(recipe(here, seed=1))


def test_every_method_learns_from_the_same_labels_and_every_seed_from_its_own():
    here = conditions(num_videos=40)
    draws = {
        seed: {of_type(recipe(here, seed=seed, label_fraction=0.25), FineTune)[0].videos for recipe in LABELLED}
        for seed in range(4)
    }
    assert {len(drawn) for drawn in draws.values()} == {1}
    assert len(set().union(*draws.values())) > 1


def test_the_majority_is_that_of_the_labels_that_methods_learn_from():
    here = conditions(num_videos=40)
    (majority,) = of_type(majority_class(here, seed=2, label_fraction=0.25), MajorityClass)
    (classifier,) = of_type(moco(here, seed=2, label_fraction=0.25), FineTune)
    assert majority.training_videos == classifier.videos


@pytest.mark.parametrize("study", ["table1", "table2", "table3"])
def test_no_row_of_a_table_is_left_with_other_labels_than_the_rest(study: str):
    here = conditions(num_videos=40)
    trials = STUDIES[study].trials(here, settings={"label_fraction": "0.25"})
    assert setting_notes(trials, ["label_fraction"]) == ()


def test_the_free_backbone_beside_a_student_is_the_published_one_under_every_preset():
    here = conditions(preset="official_code")
    network = student(combined(here, seed=0)).method
    assert isinstance(network, CombinedMoCo)
    assert network.teacher == supervised_weights(here)
    start = student(initialised(here, seed=0)).method
    assert supervised_weights(here) in walk(start.start).values()  # type: ignore[attr-defined]


def test_a_teachers_own_temperature_that_is_the_students_is_no_other_stage():
    one, other = (distilled(conditions(), seed=0, temperature=0.1, teacher_temperature=each) for each in (None, 0.1))
    assert key(one) == key(other)
