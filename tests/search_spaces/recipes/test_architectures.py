"""Students and teachers that differ in architecture."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import (
    combined,
    distilled,
    initialised,
    moco,
    public_features,
    regioncl,
    scratch,
    simsiam,
    swav,
    untrained,
)
from study.core.graph import key, walk
from study.core.recipe import bind
from tests.search_spaces.fake_dataset import conditions
from tests.search_spaces.protocol.test_presets import MOCO
from trainers.networks.architectures import backbone_of
from trainers.networks.timm_backbones import TimmBackbone
from trainers.recognition.finetune import FineTune
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.untrained import Untrained
from trainers.stage import InputError, Stage

VIT = "timm:vit_small_patch14_dinov2.lvd142m@224"
STUDENTS = (distilled, moco, swav, simsiam, regioncl, scratch, untrained)


def encoder(trial: Stage):
    (classifier,) = (each for each in walk(trial).values() if isinstance(each, FineTune))
    return classifier.encoder


def taught_by(architecture: str) -> Conditions:
    return replace(conditions(), weights=(replace(MOCO, architecture=architecture, licence="CC BY-NC 4.0"),))


@pytest.mark.parametrize("recipe", STUDENTS)
def test_a_student_may_have_another_architecture_than_the_scale(recipe: Callable[..., Stage]):
    usual = encoder(recipe(conditions(), seed=0)).backbone
    _, trial = bind(recipe, conditions(), 0, {"architecture": "timm:resnet10t"})
    student = encoder(trial).backbone
    assert isinstance(student, TimmBackbone)
    assert (student.model, student.input_px) == ("resnet10t", None)
    assert student.batch_norm_splits == usual.batch_norm_splits
    same = recipe(conditions(), seed=0, architecture=conditions().scale.architecture)
    assert key(same) == key(recipe(conditions(), seed=0))


def test_a_students_architecture_leaves_its_teacher_as_it_was():
    usual, other = (encoder(distilled(conditions(), seed=0, architecture=each)) for each in (None, "timm:resnet10t"))
    assert key(usual.method.teacher) == key(other.method.teacher)
    assert key(usual) != key(other)


def test_weights_of_another_architecture_teach_and_are_adapted_as_they_are():
    here = taught_by("resnet50")
    student = encoder(distilled(here, seed=0))
    assert (student.backbone.architecture, student.method.teacher.backbone.architecture) == ("resnet10", "resnet50")
    assert student.method.teacher.method.trains == "head"
    assert encoder(public_features(here, seed=0)).backbone.architecture == "resnet50"
    (note,) = (note for note in here.notes if note.startswith("moco-v2 is"))
    assert re.search(r"\(resnet50, SHA-256 \w{8}…, licence CC BY-NC 4\.0\)\.$", note)


@pytest.mark.parametrize("recipe", [initialised, combined])
def test_what_starts_from_weights_or_adds_features_to_theirs_must_fit_them(recipe: Callable[..., Stage]):
    with pytest.raises(InputError, match=r"resnet50 of width 64.*architecture=resnet50|teacher has 2048 features"):
        recipe(taught_by("resnet50"), seed=0)
    assert encoder(recipe(taught_by("resnet50"), seed=0, architecture="resnet50")).backbone.architecture == "resnet50"


def test_networks_that_need_another_recipe_teach_but_are_no_students():
    with pytest.raises(InputError, match="timm:test_vit cannot be trained by these methods"):
        moco(conditions(), seed=0, architecture="timm:test_vit")


def test_what_stands_for_no_architecture_is_refused():
    with pytest.raises(
        InputError, match="architecture=resnet34 does not fit: architecture takes resnet50, resnet18, resn"
    ):
        bind(moco, conditions(), 0, {"architecture": "resnet34"})
    with pytest.raises(InputError, match="timm has no model 'nonsense'"):
        bind(moco, conditions(), 0, {"architecture": "timm:nonsense"})


def test_a_plan_counts_what_a_teacher_costs():
    def seconds(stage: Pretrain, architecture: str) -> float:
        teacher = Untrained(backbone=backbone_of(architecture))
        return replace(stage, method=replace(stage.method, teacher=teacher)).expected_seconds()

    student = encoder(distilled(conditions(), seed=0, teacher_trains="none", architecture="resnet18"))
    small, large = (
        seconds(student, each) for each in ("timm:vit_small_patch14_dinov2@224", "timm:vit_small_patch14_dinov2")
    )
    assert small > seconds(student, "resnet10")
    assert large - small == pytest.approx(
        2 * (46.697 - 6.124) / 45 * student.num_frames * student.optimisation.epochs, rel=1e-3
    )
