from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import recognition
from search_spaces.searches.distilled import SEARCHES
from search_spaces.searches.objectives import ON_FOLDS, ON_VALIDATION, best_accuracy, last_accuracy
from search_spaces.studies.catalogue import STUDIES
from study import Study
from study.core.graph import key, walk
from study.search.home_storage import storage_url
from study.search.optuna_study import IDENTITY, OptunaStudy
from study.search.pruner import SuccessiveHalving
from study.search.space import Search
from tests.search_spaces.fake_dataset import conditions
from trainers.artifacts.history import write_history
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.cross_validation import CrossValidate
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=lambda search: search.name)


def temporal_stage(evaluate: Evaluate) -> Stage:
    assert isinstance(evaluate.predictions, PredictPhases)
    return evaluate.predictions.model


def videos_to_test(scale: str) -> set[str]:
    return {key(video) for video in conditions(scale).videos().test}


@every_search
@pytest.mark.parametrize("scale", ["demo", "full"])
@pytest.mark.parametrize("mode", ["linear", "full"])
def test_no_path_leads_from_a_test_video_to_a_search(search: Search, scale: str, mode: str):
    space = search.bind(conditions(scale), {"finetune_mode": mode})
    for extreme in space.extreme_trials():
        stages = walk(extreme.stage)
        assert videos_to_test(scale)
        assert videos_to_test(scale).isdisjoint(stages)
        assert not any(isinstance(stage, PredictPhases | Evaluate) for stage in stages.values())
    whole = search.recipe(conditions(scale), seed=0)
    assert videos_to_test(scale) <= walk(whole).keys()


@every_search
@pytest.mark.parametrize("split", ["fold1of3", "fold3of3", "fold2of4r2"])
def test_no_path_leads_from_a_test_video_of_a_fold_to_a_search(search: Search, split: str):
    space = search.bind(conditions(), {"split": split})
    tested = {key(video) for video in conditions().videos(split).test}
    validation = {key(video) for video in conditions().videos(split).validation}
    for extreme in space.extreme_trials():
        assert tested
        assert tested.isdisjoint(walk(extreme.stage))
        assert validation <= walk(extreme.stage).keys()


@every_search
@pytest.mark.parametrize("preset", ["official_code", "paper"])
def test_presets_that_choose_on_test_videos_or_on_none_are_refused(search: Search, preset: str):
    expected = {"official_code": "chooses models on test videos", "paper": "needs validation videos"}
    with pytest.raises(InputError, match=expected[preset]):
        search.bind(conditions("demo", preset)).extreme_trials()


@every_search
def test_a_preset_that_keeps_another_epoch_than_the_best_on_validation_videos_is_refused(search: Search):
    with pytest.raises(InputError, match="keeps the last epoch of a model"):
        search.bind(conditions("demo", "paper"), {"split": "selection"}).extreme_trials()


@every_search
def test_training_on_all_videos_leaves_nothing_to_search_on(search: Search):
    with pytest.raises(InputError, match="needs validation videos"):
        search.bind(conditions(), {"split": "official"}).extreme_trials()


@every_search
def test_test_videos_that_were_ingested_otherwise_are_found_in_a_search(search: Search):
    here = conditions()

    def on_test_videos(conditions: Conditions, *, seed: int) -> Evaluate:
        evaluate = search.recipe(conditions, seed=seed)
        smaller = here.dataset.videos(fps=1, size_px=32)
        tested = {video.name for video in here.videos().test}
        student = [stage for stage in walk(evaluate).values() if isinstance(stage, Pretrain)][-1]
        leaking = replace(student, frames=tuple(video for video in smaller if video.name in tested))
        return recognition(conditions, leaking, seed)

    leak = on_test_videos(here, seed=0)
    assert {key(video) for video in here.videos().test}.isdisjoint(walk(temporal_stage(leak)))
    with pytest.raises(InputError, match="chooses models on test videos"):
        search.objective.last_stage(leak)


@every_search
def test_a_search_watches_the_student_whose_probe_looks_at_validation_videos_alone(search: Search):
    for extreme in search.bind(conditions()).extreme_trials():
        watched = search.objective.pruning_signal(extreme.stage)
        assert watched is not None
        assert isinstance(watched.stage, Pretrain)
        assert watched.stage.probe is not None
        assert watched.epochs == watched.stage.optimisation.epochs
        validation = {key(video) for video in watched.stage.probe.validation}
        assert validation == {key(video) for video in conditions().videos().validation}


@every_search
def test_the_winner_is_evaluated_by_a_study_of_the_same_recipe(search: Search):
    study = STUDIES[search.evaluated_in]
    assert isinstance(study, Study)
    assert study.recipe is search.recipe


def test_queues_are_batches_times_a_power_of_two_at_every_scale_and_batch():
    for scale, settings, batch in (
        ("demo", {}, 64),
        ("full", {}, 128),
        ("demo", {"batch_size": "32"}, 32),
        ("demo", {"batch_size": "none"}, 64),
    ):
        space = SEARCHES["distilled"].bind(conditions(scale), settings)
        queues = [extreme.parameters["queue_size"] for extreme in space.extreme_trials()]
        assert queues == [batch, 64 * batch]


def test_what_no_hyperparameter_touches_is_data_and_free_weights():
    space = SEARCHES["distilled"].bind(conditions())
    stages = walk(space.extreme_trials()[0].stage)
    kinds = [stages[stage_key].kind for stage_key in stages if stage_key in space.invariant_stages()]
    assert [kind for kind in kinds if kind != "Video"] == ["GenericImages", "Pretrain MoCo", "Release"]


def test_trials_are_valued_over_folds_of_all_labelled_videos_that_are_not_tested():
    search, here = SEARCHES["distilled"], conditions()
    space = search.bind(here)
    assert space.search.objective == search.objective == ON_FOLDS
    last = space.extreme_trials()[1].stage
    assert isinstance(last, CrossValidate)
    sides = here.videos()
    held_out = [key(video) for fold in last.folds for video in fold.held_out]
    assert sorted(held_out) == sorted(key(video) for video in (*sides.train, *sides.validation))
    for fold in last.folds:
        assert not {key(video) for video in fold.held_out} & {key(video) for video in fold.videos}
        assert len(fold.videos) + len(fold.held_out) == last.num_videos
        assert fold.selection == "last"


def test_trials_have_the_students_and_features_of_studies():
    search = SEARCHES["distilled"]
    whole = walk(temporal_stage(search.recipe(conditions(), seed=0)))
    first = search.bind(conditions()).initial_point()
    assert first is not None
    mine = walk(search.bind(conditions()).trial(0, first).stage)
    own = {stage.kind for stage_key, stage in mine.items() if stage_key not in whole}
    assert own == {"TrainFold", "CrossValidate"}


@pytest.mark.parametrize("settings", [{"finetune_mode": "full"}, {"label_fraction": "0.5"}])
def test_where_folds_would_change_features_or_labels_the_validation_videos_alone_count(settings: dict[str, str]):
    space = SEARCHES["distilled"].bind(conditions(), settings)
    assert space.search.objective == ON_VALIDATION
    assert type(space.extreme_trials()[0].stage) is TrainTemporal


def test_features_that_depend_on_labels_are_refused_by_an_objective_over_folds():
    search = replace(SEARCHES["distilled"], objective_under=None)
    with pytest.raises(InputError, match=r"depend on labels.*search with the objective ON_VALIDATION"):
        search.bind(conditions(), {"finetune_mode": "full"}).extreme_trials()


def test_the_value_over_folds_is_that_of_the_last_epoch(tmp_path):
    records = [{"epoch": e, "loss": 1.0, "validation_accuracy": a} for e, a in enumerate((40.0, 61.5, 60.0), 1)]
    write_history(tmp_path, records)
    assert last_accuracy(tmp_path) == 60.0
    write_history(tmp_path, [{"epoch": 1, "loss": 1.0}])
    with pytest.raises(InputError, match="no accuracy on validation videos"):
        last_accuracy(tmp_path)


def test_at_scale_small_a_trial_can_be_stopped_but_not_at_the_first_measurement():
    search = SEARCHES["distilled"].bind(conditions("small"))
    watched = search.search.objective.pruning_signal(search.extreme_trials()[0].stage)
    assert watched is not None
    assert SuccessiveHalving(watched.epochs, first_epoch=watched.first_epoch).rungs == (6,)


def test_the_value_on_validation_videos_is_the_best_accuracy(tmp_path):
    records = [{"epoch": e, "loss": 1.0, "validation_accuracy": a} for e, a in enumerate((40.0, 61.5, 60.0), 1)]
    write_history(tmp_path, records)
    assert best_accuracy(tmp_path) == 61.5
    write_history(tmp_path, [{"epoch": 1, "loss": 1.0}])
    with pytest.raises(InputError, match="no accuracy on validation videos"):
        best_accuracy(tmp_path)


@every_search
@pytest.mark.parametrize("scale", ["demo", "small", "full"])
def test_a_search_begins_at_the_trial_that_studies_have(search: Search, scale: str):
    space = search.bind(conditions(scale))
    first = space.initial_point()
    assert first is not None
    studys = search.recipe(conditions(scale), seed=0)
    assert key(space.trial(0, first).stage) == key(search.objective.last_stage(studys))


IDENTITY_OF_AN_EARLIER_VERSION = {
    "recipe": "search_spaces.recipes.distilled",
    "space": (
        "distillation_weight: from 0.1 to 50, logarithmic; temperature: from 0.02 to 0.5, logarithmic; "
        "teacher_temperature: none, or from 0.02 to 0.5, logarithmic; queue_size: powers of two from 1 to 64, times 64;"
        " momentum: 0.9, 0.97, 0.99, 0.996, 0.999, 0.9997; teacher_trains: none, head, backbone, all; "
        "teacher_epochs: powers of two from 1 to 4, where teacher_trains is head or backbone or all"
    ),
    "objective": "accuracy on validation videos, %",
    "seed": "0",
}
"""Of the search at scale demo, word for word as version 0.1 kept it in Optuna's database, but for its stages."""
STAGES_OF_AN_EARLIER_VERSION = "820203dbe6cba671d889eeb97591f333"
"""Before revision 2 of the temporal model."""


VALUED_AS_BEFORE = {"finetune_mode": "full"}
"""What has a search value its trials on the validation videos alone, as earlier versions did everywhere."""


def started_before(home: Path, identity: dict[str, str], settings: Mapping[str, str] = VALUED_AS_BEFORE) -> OptunaStudy:
    """The search `distilled`, going on with an Optuna study that an earlier version made."""
    study = optuna.create_study(study_name="distilled demo", storage=storage_url(home), direction="maximize")
    space = SEARCHES["distilled"].bind(conditions(), settings)
    study.set_user_attr(IDENTITY, {"stages": space.identity()["stages"], **identity})
    return OptunaStudy(name="distilled demo", space=space, seed=0, url=storage_url(home), driver="ours")


def test_a_search_of_an_earlier_version_goes_on_in_its_optuna_study(tmp_path: Path):
    with started_before(tmp_path, IDENTITY_OF_AN_EARLIER_VERSION) as suggestions:
        assert suggestions.ask().number == 0
    assert len(optuna.get_all_study_names(storage_url(tmp_path))) == 1


def test_trials_that_were_valued_on_validation_videos_alone_are_not_mixed_with_those_over_folds(tmp_path: Path):
    with pytest.raises(InputError, match="searched with another objective: ask as it was asked then, or name another"):
        started_before(tmp_path, IDENTITY_OF_AN_EARLIER_VERSION, {})


def test_a_search_whose_stages_gave_other_numbers_is_refused(tmp_path: Path):
    earlier = {**IDENTITY_OF_AN_EARLIER_VERSION, "stages": STAGES_OF_AN_EARLIER_VERSION}
    with pytest.raises(InputError, match="searched with other data, or another version of its stages: ask as it was"):
        started_before(tmp_path, earlier)


def test_a_search_with_another_recipe_of_an_earlier_version_is_refused(tmp_path: Path):
    other = {**IDENTITY_OF_AN_EARLIER_VERSION, "recipe": "search_spaces.recipes.moco"}
    with pytest.raises(InputError, match="searched with another recipe: ask as it was asked then"):
        started_before(tmp_path, other)
