"""Free models of the package: a scale of their network starts from them, unless others or stand-ins are asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.weights_notes import stand_in_notes, start_notes
from search_spaces.recipes import distilled, free_weights, supervised_features, supervised_weights
from search_spaces.studies.catalogue import STUDIES
from search_spaces.studies.teachers import teachers
from study.core.graph import key, walk
from tests.search_spaces.fake_dataset import conditions
from tests.search_spaces.free_models import CONVNEXT
from trainers.data.synthetic.generic_images import GenericImages
from trainers.networks.backbones import Backbone
from trainers.pretrained.contents import Kind
from trainers.pretrained.file_metadata import Shipped
from trainers.pretrained.public_weights import PublicWeights
from trainers.pretrained.shipped import write_shipped
from trainers.ssl.encoders import random_encoder
from trainers.stage import Stage


def facts(kind: Kind) -> Shipped:
    return Shipped(
        scale="demo",
        kind=kind,
        method="MoCo v2",
        architecture="resnet10",
        width=32,
        size_px=48,
        num_images=4096,
        epochs=2,
        images="DrawnImages, revision 1",
        core_seconds=3600,
        gpu_seconds=0,
        device="CPU",
        date="2026-11-26",
    )


@pytest.fixture
def both(shipped_files: Path) -> Path:
    """A file of each kind."""
    kinds: tuple[Kind, ...] = ("self-supervised", "supervised")
    for seed, kind in enumerate(kinds):
        encoder = random_encoder(Backbone(architecture="resnet10", width=32), 128, seed).state_dict()
        write_shipped(shipped_files / f"demo-{kind}.safetensors", encoder, facts(kind))
    return shipped_files


def used(stage: Stage) -> list[str]:
    return [each.path.name for each in walk(stage).values() if isinstance(each, PublicWeights)]


def draws_images(stage: Stage) -> bool:
    return any(isinstance(each, GenericImages) for each in walk(stage).values())


def notes(here: Conditions, study: str = "table1") -> tuple[str, ...]:
    """What is said of the starts of a study; rows of table1 start from both kinds."""
    return start_notes(here, STUDIES[study].trials(here))


def test_without_files_a_stand_in_is_trained_and_a_note_says_so():
    here = conditions()
    assert draws_images(free_weights(here))
    assert draws_images(supervised_weights(here))
    (note,) = notes(here)
    assert note.startswith("Whatever starts from self-supervised and supervised public weights starts from a stand-in")
    assert key(free_weights(here)) == key(free_weights(replace(here, stand_in=True)))


@pytest.mark.usefixtures("both")
def test_scale_demo_starts_from_the_files_that_are_there_and_says_what_they_are():
    here = conditions()
    assert used(distilled(here, seed=0)) == ["demo-self-supervised.safetensors"]
    assert used(supervised_features(here, seed=0)) == ["demo-supervised.safetensors"]
    assert not draws_images(distilled(here, seed=0))
    first, second = notes(here)
    assert first.startswith(
        "Whatever starts from self-supervised public weights starts from the free model of the demo scale: MoCo v2, "
        "4,096 drawn images, 2 epochs, 1 core-hours (resnet10, SHA-256 "
    )
    assert first.endswith("licence Apache-2.0).")
    assert second.startswith("Whatever starts from supervised public weights starts from the free model of the demo")


def test_a_kind_without_a_file_has_a_stand_in(both: Path):
    (both / "demo-supervised.safetensors").unlink()
    here = conditions()
    assert used(free_weights(here)) == ["demo-self-supervised.safetensors"]
    assert draws_images(supervised_weights(here))
    assert notes(here)[1].startswith("Whatever starts from supervised public weights starts from a stand-in")


@pytest.mark.usefixtures("both")
def test_a_free_model_that_no_row_starts_from_is_not_spoken_of():
    (note,) = notes(conditions(), "table3")
    assert note.startswith("Whatever starts from self-supervised public weights starts from the free model of the demo")


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("here", [replace(conditions(), stand_in=True), conditions("full")])
def test_stand_ins_are_trained_where_they_are_asked_for_and_at_scales_of_other_networks(here: Conditions):
    assert draws_images(free_weights(here))
    assert not here.shipped
    assert not [note for note in notes(here) if "free model of" in note]


@pytest.mark.usefixtures("both")
def test_weights_that_are_named_come_first():
    here = replace(conditions(), weights=(replace(CONVNEXT, kind="self-supervised"),))
    assert used(free_weights(here)) == ["moco.pth.tar"]
    assert used(supervised_weights(here)) == ["demo-supervised.safetensors"]


@pytest.mark.usefixtures("both")
def test_study_teachers_says_which_models_come_with_the_package():
    trials = teachers.trials(conditions())
    origins = {trial.row.name: trial.row.teacher.origin for trial in trials if trial.row.teacher}
    assert origins["teacher-self-supervised"].startswith("free model of the demo scale: MoCo v2, 4,096 drawn images")
    assert origins["teacher-untrained"].startswith("stand-in: resnet10 of width 32, at its random start")
    (note,) = stand_in_notes(conditions(), trials)
    assert note.startswith("The free models are computed here: small vision transformer (stand-in: ")
    by_name = {trial.row.name: trial.stage for trial in trials}
    assert used(by_name["teacher-supervised"]) == ["demo-supervised.safetensors"]
