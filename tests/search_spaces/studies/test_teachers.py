from dataclasses import replace

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes.free_models import STAND_INS
from search_spaces.studies.teachers import teachers
from study import Trial, cross_validated
from study.analysis.comparisons import references
from study.core.graph import key, walk
from tests.search_spaces.fake_dataset import conditions
from tests.search_spaces.free_models import CONVNEXT, MOCO, SUPERVISED, given
from trainers.networks.architectures import backbone_of
from trainers.pretrained.public_weights import PublicWeights
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain
from trainers.stage import Stage


def by_row(here: Conditions) -> dict[str, Trial]:
    return {trial.row.name: trial for trial in teachers.trials(here)}


def student(trial: Trial) -> Pretrain:
    """The pre-training whose encoder is fine-tuned."""
    found = [stage for stage in walk(trial.stage).values() if isinstance(stage, Pretrain) and stage.probe is not None]
    return found[-1]


def free_model(trial: Trial) -> Stage:
    """What the teacher of a trial starts from."""
    method = student(trial).method
    assert isinstance(method, DistilledMoCo)
    assert isinstance(method.teacher, Pretrain)
    adapted = method.teacher.method
    assert isinstance(adapted, MoCo)
    assert adapted.trains == "head"
    assert adapted.start is not None
    return adapted.start


def test_every_given_model_teaches_a_student_and_stands_alone_whatever_its_kind_and_name():
    named = (MOCO, SUPERVISED, CONVNEXT)
    trials = by_row(given(*named))
    names = [weights.name for weights in named]
    assert list(trials) == ["moco", *(f"teacher-{n}" for n in names), *(f"features-{n}" for n in names)]
    for weights in named:
        assert free_model(trials[f"teacher-{weights.name}"]) == weights.encoder()
        alone = walk(trials[f"features-{weights.name}"].stage).values()
        assert [stage for stage in alone if isinstance(stage, PublicWeights)] == [weights.encoder()]
        assert not [stage for stage in alone if isinstance(stage, Pretrain)]


def test_without_public_weights_stand_ins_of_four_kinds_teach():
    trials = by_row(conditions())
    found = {name: free_model(trial) for name, trial in trials.items() if name.startswith("teacher-")}
    assert {name: stage.kind for name, stage in found.items()} == {
        "teacher-self-supervised": "Release",
        "teacher-supervised": "TrainClassifier",
        "teacher-transformer": "TrainClassifier",
        "teacher-untrained": "Untrained",
    }
    assert [row.name for row in teachers.all_rows()] == list(trials), "lists show what is asked without weights"


def test_all_students_have_the_budget_of_the_one_without_a_teacher():
    trials = by_row(conditions())
    assert isinstance(student(trials["moco"]).method, MoCo)
    for name, trial in trials.items():
        if not name.startswith("features-"):
            same = replace(student(trial), method=student(trials["moco"]).method)
            assert same == student(trials["moco"]), name


def test_a_head_of_another_length_is_adapted_and_teaches_a_student_of_the_same():
    short = replace(MOCO, embedding_size=64)
    taught = student(by_row(given(short))["teacher-moco"]).method
    assert isinstance(taught, DistilledMoCo)
    assert (taught.embedding_size, taught.teacher.output_size) == (64, 64)


def test_names_do_not_enter_keys_and_a_stand_in_is_the_same_for_all_presets_and_seeds():
    one, other = by_row(given(MOCO)), by_row(given(replace(MOCO, name="other", file="/elsewhere")))
    assert key(one["teacher-moco"].stage) == key(other["teacher-other"].stage)
    full, official = (
        {name: key(each.make(conditions("full", preset))) for name, each in STAND_INS.items()}
        for preset in ("corrected", "official_code")
    )
    assert full == official
    first, second = (t for t in teachers.trials(conditions(), seeds=(0, 1)) if t.row.name == "teacher-untrained")
    assert free_model(first) == free_model(second)


def test_every_teacher_is_described_with_its_cost_in_the_input_size_that_it_expects():
    described = {t.row.teacher.title: t.row.teacher for t in teachers.trials(given(MOCO, CONVNEXT)) if t.row.teacher}
    assert described["moco"].gflops == 4.1
    assert described["convnext"].gflops == backbone_of("timm:convnext_atto").gflops_at(224)
    assert described["moco"].origin == (
        "self-supervised: MoCo v2, 800 epochs on ImageNet (resnet50, SHA-256 11111111…, licence CC BY-NC 4.0)"
    )
    assert described["moco"].alone == "features-moco"
    transformer = by_row(conditions())["teacher-transformer"].row.teacher
    assert transformer is not None
    assert transformer.gflops == backbone_of("timm:test_vit@96").gflops_at(48)


def test_each_teacher_is_compared_with_no_teacher():
    here = teachers.under(given(MOCO, CONVNEXT))
    assert set(references(here).values()) == {"moco"}
    assert {"teacher-moco", "teacher-convnext"} <= references(here).keys()


def test_the_models_that_are_given_are_cross_validated_too():
    folded = cross_validated(teachers, "cv", count=2)
    names = [trial.row.name for trial in folded.trials(given(MOCO))]
    assert names[:3] == ["moco,fold1of2", "moco,fold2of2", "teacher-moco,fold1of2"]
    assert len(names) == 6


@pytest.mark.parametrize("preset", ["paper", "official_code"])
def test_a_preset_whose_teachers_start_otherwise_takes_every_model(preset: str):
    here = replace(given(MOCO, CONVNEXT), preset=conditions("full", preset).preset)
    digests = {weights.name: weights.digest for weights in (MOCO, CONVNEXT)}
    for trial in teachers.trials(here):
        used = {stage.digest for stage in walk(trial.stage).values() if isinstance(stage, PublicWeights)}
        assert used == ({digests[str(trial.parameters["free_model"])]} if trial.row.name != "moco" else set())
