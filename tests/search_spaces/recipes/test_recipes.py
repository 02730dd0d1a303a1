import ast
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

import search_spaces.recipes
from search_spaces.protocol.presets import SplitName
from search_spaces.recipes import distilled, free_weights, majority_class, moco, public_features, settings, untrained
from search_spaces.recipes.settings import FineTuneMode
from search_spaces.searches.distilled import SEARCHES
from search_spaces.studies.catalogue import STUDIES
from study import LogUniform
from study.core.graph import inputs, key, walk
from study.core.recipe import vocabulary
from tests.search_spaces.fake_dataset import conditions
from trainers.data.ingest.video import Video
from trainers.fields import BatchSize, Count, Epochs, LearningRate, Momentum, Precision, Share, Temperature, Weight
from trainers.networks.architectures import ArchitectureName
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.finetune import FineTune
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import Trains
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

Kind = TypeVar("Kind", bound=Stage)
RECIPES = (distilled, moco, public_features, untrained, majority_class)


def is_recipe(each: object) -> bool:
    seed = inspect.signature(each).parameters.get("seed") if inspect.isfunction(each) else None
    return seed is not None and seed.kind is inspect.Parameter.KEYWORD_ONLY


EVERY_RECIPE = [each for each in vars(search_spaces.recipes).values() if is_recipe(each)]


def kinds(stage: Stage) -> list[str]:
    return [each.kind for each in walk(stage).values() if not isinstance(each, Video)]


def of_type(stage: Stage, cls: type[Kind]) -> list[Kind]:
    return [each for each in walk(stage).values() if isinstance(each, cls)]


def different(one: Stage, other: Stage) -> list[str]:
    """What of `other` the stages of `one` do not contain."""
    known = walk(one)
    return [stage.kind for stage_key, stage in walk(other).items() if stage_key not in known]


AFTER_THE_STUDENT = [
    "EncoderFeatures",
    "EncoderFeatures",
    "FineTune linear",
    "TrainTemporal",
    "EncoderFeatures",
    "PredictPhases",
    "Evaluate",
]


def test_a_distilled_trial_goes_from_free_weights_over_teacher_and_student_to_metrics():
    assert kinds(distilled(conditions(), seed=0)) == [
        "GenericImages",
        "Pretrain MoCo",
        "Release",
        "Pretrain MoCo",
        "Pretrain DistilledMoCo",
        *AFTER_THE_STUDENT,
    ]


def test_a_teacher_that_trains_nothing_is_the_free_weights():
    trial = distilled(conditions(), seed=0, teacher_trains="none")
    (student,) = (stage for stage in of_type(trial, Pretrain) if isinstance(stage.method, DistilledMoCo))
    assert student.method.teacher == free_weights(conditions())
    assert kinds(trial).count("Pretrain MoCo") == 1


def test_free_weights_teacher_and_student_share_no_draw():
    seeds = [stage.seed for stage in of_type(distilled(conditions(), seed=0), Pretrain)]
    assert len(set(seeds)) == len(seeds) == 3


def test_unlabelled_videos_are_seen_by_teacher_and_student_and_by_nothing_else():
    labelled = conditions()
    recordings = labelled.dataset.recordings
    without = replace(recordings[0], name="more", video_digest="f" * 32, annotation=None, annotation_digest=None)
    given = replace(labelled, dataset=replace(labelled.dataset, recordings=(*recordings, without)))
    trial = distilled(given, seed=0)
    more = next(video for video in of_type(trial, Video) if video.name == "more")
    readers = [stage for stage in walk(trial).values() if key(more) in map(key, inputs(stage).values())]
    assert [stage.kind for stage in readers] == ["Pretrain MoCo", "Pretrain DistilledMoCo"]
    assert all(path.startswith("frames.") for s in readers for path, each in inputs(s).items() if each == more)


@pytest.mark.parametrize("trains", ["head", "backbone", "all"])
def test_a_teacher_starts_from_the_free_weights_and_trains_what_it_is_told(trains: str):
    trial = distilled(conditions(), seed=0, teacher_trains=trains)
    teacher = of_type(trial, Pretrain)[1]
    assert isinstance(teacher.method, MoCo)
    assert teacher.method.trains == trains
    assert teacher.method.start == free_weights(conditions())
    assert teacher.probe is None


def test_free_weights_and_videos_depend_on_no_seed_and_no_hyperparameter():
    usual = distilled(conditions(), seed=0)
    others = [
        distilled(conditions(), seed=1),
        distilled(conditions(), seed=0, distillation_weight=2.0),
        distilled(conditions(), seed=0, temperature=0.2, queue_size=128, batch_size=32, learning_rate=0.5),
        distilled(conditions(), seed=0, momentum=0.5, student_epochs=1, teacher_epochs=1, batch_norm_splits=1),
    ]
    shared = {key(stage) for stage in (*of_type(usual, Video), free_weights(conditions()))}
    for other in others:
        assert shared <= walk(other).keys()


def test_lambda_changes_the_student_and_what_follows_alone():
    one, other = (distilled(conditions(), seed=0, distillation_weight=weight) for weight in (5.0, 2.0))
    assert different(one, other) == ["Pretrain DistilledMoCo", *AFTER_THE_STUDENT]


def test_the_seed_changes_everything_that_is_trained_on_surgical_frames():
    one, other = (distilled(conditions(), seed=seed) for seed in (0, 1))
    assert different(one, other) == ["Pretrain MoCo", "Pretrain DistilledMoCo", *AFTER_THE_STUDENT]


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.2), ("queue_size", 128), ("momentum", 0.5), ("learning_rate", 0.5), ("weight_decay", 0.0)],
)
def test_teacher_and_student_share_their_hyperparameters(name: str, value: float):
    one, other = distilled(conditions(), seed=0), distilled(conditions(), seed=0, **{name: value})
    assert different(one, other) == ["Pretrain MoCo", "Pretrain DistilledMoCo", *AFTER_THE_STUDENT]


def test_weight_decay_can_be_searched():
    search = replace(SEARCHES["distilled"], axes={"weight_decay": LogUniform(1e-6, 1e-2)}, initial_point=None)
    decays = [
        {stage.optimisation.weight_decay for stage in of_type(trial.stage, Pretrain)}
        for trial in search.bind(conditions()).extreme_trials()
    ]
    assert decays == [{1e-4, 1e-6}, {1e-4, 1e-2}], "the free weights keep theirs"


def test_the_teachers_temperature_may_part_from_the_students():
    one, other = distilled(conditions(), seed=0), distilled(conditions(), seed=0, teacher_temperature=0.2)
    assert different(one, other) == ["Pretrain DistilledMoCo", *AFTER_THE_STUDENT]


def test_an_argument_left_out_takes_the_presets_or_scales_value():
    here = conditions()
    said = distilled(
        here,
        seed=0,
        distillation_weight=here.preset.distillation_weight,
        temperature=here.preset.temperature,
        queue_size=here.scale.queue_size,
        student_epochs=here.scale.student_epochs,
    )
    assert key(said) == key(distilled(here, seed=0))


def test_recipes_share_the_videos_and_the_way_to_metrics():
    assert kinds(moco(conditions(), seed=0)) == ["Pretrain MoCo", *AFTER_THE_STUDENT]
    assert kinds(untrained(conditions(), seed=0)) == ["Untrained", *AFTER_THE_STUDENT]
    assert kinds(public_features(conditions(), seed=0)) == [
        "GenericImages",
        "Pretrain MoCo",
        "Release",
        *AFTER_THE_STUDENT,
    ]
    assert kinds(majority_class(conditions(), seed=0)) == ["MajorityClass", "Evaluate"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("split", ["selection", "official", "fold1of3", "fold3of4r2"])
def test_no_test_video_is_among_the_inputs_of_anything_that_is_trained(recipe: Callable[..., Stage], split: str):
    test_videos = {key(video) for video in conditions().videos(split).test}
    trial = recipe(conditions(), seed=0, split=split)
    trained = [s for s in walk(trial).values() if isinstance(s, Pretrain | FineTune | TrainTemporal)]
    assert trained or recipe is majority_class
    for stage in trained:
        assert not test_videos & walk(stage).keys(), stage.kind
    assert test_videos <= walk(trial).keys()


@pytest.mark.parametrize("recipe", [distilled, moco, public_features, untrained])
def test_test_videos_are_read_by_the_last_extraction_alone(recipe: Callable[..., Stage]):
    test_videos = {key(video) for video in conditions().videos().test}
    trial = recipe(conditions(), seed=0)
    (prediction,) = of_type(trial, PredictPhases)
    readers = [s for s in walk(trial).values() if test_videos & {key(needed) for needed in inputs(s).values()}]
    assert readers == [prediction.features]
    assert isinstance(prediction.features, EncoderFeatures)


def test_without_validation_videos_nothing_is_probed():
    assert all(stage.probe is None for stage in of_type(distilled(conditions(), seed=0, split="official"), Pretrain))
    probed = [stage.probe is not None for stage in of_type(distilled(conditions(), seed=0), Pretrain)]
    assert probed == [False, False, True]


def test_a_queue_that_no_batch_fits_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="queue_size is 100: K must be a multiple of the batch size"):
        distilled(conditions(), seed=0, queue_size=100)


def test_every_recipe_is_offered_where_users_import_from_under_a_name_of_its_own():
    names = {each.__name__ for each in EVERY_RECIPE}
    assert len(names) == len(EVERY_RECIPE) == 16
    assert names <= set(search_spaces.recipes.__all__)
    rows = [row for study in STUDIES.values() for row in study.all_rows()]
    assert {study.recipe for study in STUDIES.values()} | {row.recipe for row in rows} - {None} <= set(EVERY_RECIPE)


def test_what_can_be_set_of_distillation_is_what_its_signature_offers():
    assert vocabulary(distilled) == {
        "teacher_trains": Trains,
        "distillation_weight": Weight | None,
        "contrastive_weight": Weight | None,
        "teacher_temperature": Temperature | None,
        "teacher_epochs": Epochs | None,
        "temperature": Temperature | None,
        "queue_size": Count | None,
        "queue_batches": Count | None,
        "momentum": Momentum | None,
        "learning_rate": LearningRate | None,
        "stretches": settings.Stretches | None,
        "architecture": ArchitectureName | None,
        "student_epochs": Epochs | None,
        "weight_decay": Weight | None,
        "batch_size": BatchSize | None,
        "batch_norm_splits": BatchSize | None,
        "split": SplitName | None,
        "finetune_mode": FineTuneMode | None,
        "label_fraction": Share | None,
        "precision": Precision | None,
        "free_model": str | None,
    }


def test_every_shared_hyperparameter_is_documented_where_it_is_declared():
    groups = [each for each in ast.parse(inspect.getsource(settings)).body if isinstance(each, ast.ClassDef)]
    assert len(groups) > 5
    for group in groups:
        declared = [number for number, line in enumerate(group.body) if isinstance(line, ast.AnnAssign)]
        for number in declared:
            after = group.body[number + 1 :][:1]
            text = after[0].value if after and isinstance(after[0], ast.Expr) else None
            assert isinstance(text, ast.Constant), ast.unparse(group.body[number])


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_every_hyperparameter_has_an_annotation_that_a_command_line_can_read(recipe: Callable[..., Stage]):
    for annotation in vocabulary(recipe).values():
        assert str(annotation) != "typing.Any"


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_a_check_takes_one_pass_however_many_are_asked(recipe: Callable[..., Stage]):
    asked = dict.fromkeys({"student_epochs", "teacher_epochs"} & vocabulary(recipe).keys(), 500)
    brief = recipe(replace(conditions(), brief=True), seed=0, **asked)
    assert {stage.optimisation.epochs for stage in of_type(brief, Pretrain)} <= {1}
    if asked:
        longest = recipe(conditions(), seed=0, **asked)
        assert 500 in {stage.optimisation.epochs for stage in of_type(longest, Pretrain)}
