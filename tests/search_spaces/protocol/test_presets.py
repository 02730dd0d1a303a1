from dataclasses import fields, replace
from typing import Any

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS, Preset
from search_spaces.protocol.scales import SCALES
from search_spaces.recipes import (
    combined,
    distilled,
    free_weights,
    initialised,
    majority_class,
    moco,
    public_features,
    regioncl,
    simsiam,
    supervised_features,
    supervised_weights,
    swav,
    untrained,
)
from study.core.graph import key, walk
from tests.search_spaces.fake_dataset import conditions
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.pretrained.public_weights import PublicWeights
from trainers.pretrained.registry import RegisteredWeights
from trainers.pretrained.supervised import TrainClassifier
from trainers.recognition.authors_code import (
    AuthorsEvaluate,
    AuthorsFineTune,
    AuthorsPredictPhases,
    AuthorsStart,
    AuthorsTrainTemporal,
)
from trainers.recognition.finetune import FineTune
from trainers.recognition.temporal import TrainTemporal
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.authors_teacher import AuthorsTeacher
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

RECIPES = (distilled, moco, public_features, supervised_features, untrained, majority_class)


def of_type(stage: Stage, cls: type[Any]) -> list[Any]:
    return [each for each in walk(stage).values() if isinstance(each, cls)]


def weights(name: str, layout: Any, architecture: Any = "resnet50") -> RegisteredWeights:
    return RegisteredWeights(
        name=name,
        file=f"/nowhere/{name}.pth",
        digest=f"{len(name):064x}",
        layout=layout,
        architecture=architecture,
        embedding_size=128,
        title="MoCo v2, 800 epochs on ImageNet" if layout == "moco" else "ResNet-50, supervised on ImageNet",
        stamp=(1, 2),
        kind="self-supervised" if layout == "moco" else "supervised",
    )


def full(*registered: RegisteredWeights, preset: str = "corrected") -> Conditions:
    return replace(conditions("full", preset), weights=registered)


MOCO, SUPERVISED = weights("moco-v2", "moco"), weights("supervised", "torchvision")


def differing(one: Preset, other: Preset) -> dict[str, object]:
    names = [field.name for field in fields(one) if field.name not in ("name", "description")]
    return {name: getattr(other, name) for name in names if getattr(other, name) != getattr(one, name)}


def test_the_papers_preset_parts_from_ours_in_what_the_paper_says():
    assert differing(PRESETS["corrected"], PRESETS["paper"]) == {
        "training_fps": 5,
        "split": "official",
        "selection": "last",
    }


def test_the_authors_preset_parts_from_ours_in_what_their_code_does():
    assert differing(PRESETS["corrected"], PRESETS["official_code"]) == {
        "temperature": 0.2,
        "contrastive_weight": 2.0,
        "running_statistics": "first",
        "teacher_start": "supervised",
        "start_running_statistics": False,
        "heads_apart": True,
        "teacher_batch_statistics": True,
        "moving_teacher": True,
        "queues_apart": True,
        "shuffles_apart": True,
        "precision": "fp32",
        "finetune_mode": "full",
        "finetune_learning_rate": 1e-4,
        "normalised_input": False,
        "new_optimiser_every_epoch": True,
        "split": "official",
        "selection": "test",
        "temporal_stages": 1,
        "dropout_in_first_epoch_only": True,
        "temporal_accuracy_over": "frames",
        "as_long_as_annotated": True,
        "zero_std_of_one": True,
        "relaxed_fps": 25,
    }


ALONE: dict[str, object] = {
    **differing(PRESETS["corrected"], PRESETS["official_code"]),
    **differing(PRESETS["corrected"], PRESETS["paper"]),
    "split": "official",
    "batch_norm_splits": 1,
    "distillation_weight": 1.0,
    "label_fraction": 0.5,
}


@pytest.mark.parametrize("name", ALONE)
def test_each_difference_alone_makes_another_trial(name: str):
    scale = replace(SCALES["demo"], ssl_fps=1.0, precision="bf16")
    before = replace(conditions(), scale=scale)
    after = replace(before, preset=replace(before.preset, **{name: ALONE[name]}))
    assert key(distilled(after, seed=0)) != key(distilled(before, seed=0))


def test_every_field_of_a_preset_is_tried_alone():
    assert {*ALONE, "name", "description"} == {field.name for field in fields(Preset)}


def test_the_authors_code_is_made_of_its_own_variants():
    trial = distilled(conditions(preset="official_code"), seed=0)
    (start,) = of_type(trial, AuthorsStart)
    teacher, student = of_type(trial, Pretrain)
    assert isinstance(start.encoder, TrainClassifier)
    assert isinstance(teacher.method, AuthorsTeacher)
    assert isinstance(student.method, AuthorsStudent)
    assert (teacher.method.start, student.method.teacher) == (start, teacher)
    assert [type(stage) for stage in of_type(trial, FineTune)] == [AuthorsFineTune]
    assert [type(stage) for stage in of_type(trial, TrainTemporal)] == [AuthorsTrainTemporal]
    (evaluation,) = of_type(trial, Evaluate)
    assert isinstance(evaluation, AuthorsEvaluate)
    assert isinstance(evaluation.predictions, AuthorsPredictPhases)
    assert evaluation.predictions.annotations.videos == evaluation.predictions.features.videos
    assert evaluation.relaxed_fps == 25
    assert of_type(trial, TrainTemporal)[0].network.num_stages == 1


@pytest.mark.parametrize("recipe", [distilled, moco, swav, simsiam, regioncl, combined, initialised])
def test_the_authors_code_pre_trains_in_single_precision_at_every_scale(recipe: Any):
    here = conditions("full", "official_code")
    surgical = [stage for stage in of_type(recipe(here, seed=0), Pretrain) if isinstance(stage.frames[0], Ingest)]
    assert surgical
    assert {stage.optimisation.precision for stage in surgical} == {"fp32"}
    assert moco(conditions("full"), seed=0).predictions.model.training.encoder.optimisation.precision == "bf16"


def test_the_authors_code_chooses_epochs_on_test_videos_and_says_so():
    here = conditions(preset="official_code")
    trial = distilled(here, seed=0)
    (classifier,) = of_type(trial, FineTune)
    (temporal,) = of_type(trial, TrainTemporal)
    assert classifier.validation == here.videos().test == temporal.validation.videos
    assert classifier.selection == temporal.selection == "validation"
    assert all(stage.probe is None for stage in of_type(trial, Pretrain)), "pre-training sees no test video"
    assert here.preset.stamp == "selected on test"
    assert "SELECTED ON TEST" in here.preset.description
    assert any("selected on test" in note for note in here.notes)


@pytest.mark.parametrize("preset", ["corrected", "paper"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_other_presets_train_on_no_test_video_and_need_no_stamp(preset: str, recipe: Any):
    here = conditions(preset=preset)
    test_videos = {key(video) for video in here.videos().test}
    for stage in of_type(recipe(here, seed=0), Pretrain | FineTune | TrainTemporal):  # type: ignore[arg-type]
        assert not test_videos & walk(stage).keys(), stage.kind
    assert here.preset.stamp is None
    assert not any("selected on test" in note for note in here.notes)


def test_the_paper_trains_at_five_frames_per_second():
    here = replace(conditions("full", "paper"))
    trial = distilled(here, seed=0)
    assert {stage.sample_every for stage in of_type(trial, FineTune)} == {5}
    surgical = [stage for stage in of_type(trial, Pretrain) if isinstance(stage.frames[0], Ingest)]
    assert [stage.sample_every for stage in surgical] == [5, 5]


def test_free_weights_are_the_same_under_every_preset():
    for make in (free_weights, supervised_weights):
        assert len({key(make(conditions(preset=preset))) for preset in PRESETS}) == 1


def test_supervised_weights_stand_in_without_surgical_frames_and_keep_the_classifiers_usual_start():
    stage = supervised_weights(conditions())
    assert isinstance(stage, TrainClassifier)
    assert not of_type(stage, Ingest)
    assert [each.kind for each in walk(stage).values()] == ["GenericImages", "TrainClassifier"]
    (classifier,) = of_type(supervised_features(conditions(), seed=0), FineTune)
    assert classifier.classifier_start == "default"


def test_both_stand_ins_see_the_same_images():
    one, other = (walk(make(conditions())) for make in (free_weights, supervised_weights))
    assert [one[stage].kind for stage in one.keys() & other.keys()] == ["GenericImages"]


def test_public_weights_take_the_place_of_the_stand_ins():
    here = full(MOCO, SUPERVISED)
    trial = distilled(here, seed=0)
    assert of_type(trial, PublicWeights) == [MOCO.encoder()]
    assert not of_type(trial, TrainClassifier)
    assert of_type(supervised_features(here, seed=0), PublicWeights) == [SUPERVISED.encoder()]
    assert any("moco-v2 is MoCo v2, 800 epochs on ImageNet" in note for note in here.notes)


def test_the_authors_code_starts_from_supervised_public_weights():
    (start,) = of_type(distilled(full(SUPERVISED, preset="official_code"), seed=0), AuthorsStart)
    assert start.encoder == SUPERVISED.encoder()


def test_where_public_weights_lie_does_not_change_a_trial():
    moved = replace(MOCO, file="/elsewhere/moco.pth.tar", stamp=(3, 4), name="mine")
    assert key(distilled(full(MOCO), seed=0)) == key(distilled(full(moved), seed=0))


def test_two_weights_for_one_role_are_refused_where_it_is_asked_for_and_one_can_be_named():
    here = full(MOCO, weights("other", "moco"))
    with pytest.raises(InputError, match="weights 'moco-v2' and 'other' are both self-supervised: name one of them"):
        distilled(here, seed=0)
    assert of_type(distilled(here, seed=0, free_model="moco-v2"), PublicWeights) == [MOCO.encoder()]
    with pytest.raises(InputError, match=r"no free model named 'mocov2'; did you mean 'moco-v2'\?"):
        distilled(here, seed=0, free_model="mocov2")
