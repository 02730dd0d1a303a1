from dataclasses import replace

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.weights_notes import check_weights_used, stand_in_notes, start_notes, unused_weights_notes
from search_spaces.studies.catalogue import STUDIES
from study import Trial
from tests.search_spaces.free_models import CONVNEXT, MOCO, SUPERVISED, given
from trainers.stage import InputError


def trials(name: str, conditions: Conditions) -> tuple[Trial, ...]:
    return STUDIES[name].trials(conditions)


def test_weights_that_no_trial_uses_are_noted_beside_those_that_some_use():
    here = given(MOCO, SUPERVISED)
    assert unused_weights_notes(here, trials("table3", here)) == (
        "--weights supervised is used by no trial here: that changes nothing.",
    )
    check_weights_used(here, trials("table3", here), "table3")
    assert unused_weights_notes(here, trials("table1", here)) == ()
    assert unused_weights_notes(given(), trials("table3", given())) == ()


def test_a_study_that_uses_none_of_the_named_weights_is_refused():
    here = given(SUPERVISED)
    with pytest.raises(
        InputError, match=r"^no trial of table3 uses --weights supervised \(supervised is supervised\):"
    ):
        check_weights_used(here, trials("table3", here), "table3")
    check_weights_used(given(), trials("table3", given()), "table3")


def test_the_same_file_under_two_names_is_used_under_both():
    here = given(MOCO, replace(CONVNEXT, digest=MOCO.digest, kind="supervised", name="again"))
    assert unused_weights_notes(here, trials("table3", here)) == ()


def test_stand_ins_that_are_compared_are_described_and_public_weights_are_not():
    (note,) = stand_in_notes(given(scale="demo"), trials("teachers", given(scale="demo")))
    assert note.startswith(
        "The free models are computed here: self-supervised ResNet (stand-in: resnet10 of width 32, "
    )
    assert "small vision transformer (stand-in: timm:test_vit@96, supervised on drawn images)" in note
    assert stand_in_notes(given(MOCO), trials("teachers", given(MOCO))) == ()
    assert stand_in_notes(given(), trials("table3", given())) == ()


@pytest.mark.parametrize(
    ("study", "here", "kinds"),
    [
        ("table1", given(), "self-supervised and supervised"),
        ("table1", given(SUPERVISED), "self-supervised"),
        ("table1", given(MOCO), "supervised"),
        ("table3", given(), "self-supervised"),
        ("table3", given(scale="demo"), "self-supervised"),
    ],
)
def test_a_note_says_of_which_kinds_of_weights_the_trials_train_stand_ins(study: str, here: Conditions, kinds: str):
    (note,) = start_notes(here, trials(study, here))
    assert note.startswith(
        f"Whatever starts from {kinds} public weights starts from a stand-in, trained on drawn images"
    )


def test_no_stand_in_is_spoken_of_where_no_row_starts_from_one():
    assert start_notes(given(MOCO, SUPERVISED), trials("table1", given(MOCO, SUPERVISED))) == ()
    assert start_notes(given(MOCO), trials("table3", given(MOCO))) == ()
    scratch = STUDIES["table1"].trials(given(), only=["scratch"])
    assert start_notes(given(), scratch) == ()
    assert start_notes(given(scale="demo"), trials("teachers", given(scale="demo"))) == (), "they are compared"


def test_public_weights_are_asked_for_where_they_can_exist():
    (note,) = start_notes(given(), trials("table3", given()))
    assert note.endswith(
        "not ImageNet: `freelunch weights add FILE --name NAME` and `--weights NAME` take public ones."
    )
    (note,) = start_notes(given(scale="demo"), trials("table3", given(scale="demo")))
    assert "nobody publishes weights of the network of scale demo, but those of others can teach it" in note
