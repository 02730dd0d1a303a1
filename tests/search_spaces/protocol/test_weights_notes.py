from dataclasses import replace

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.weights_notes import check_weights_used, stand_in_notes, unused_weights_notes
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
