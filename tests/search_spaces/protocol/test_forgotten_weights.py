"""Public weights that were forgotten are asked for, by name and only where rows start from them."""

from dataclasses import replace

from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.forgotten_weights import forgotten_weights_notes
from search_spaces.studies.catalogue import STUDIES
from study import Trial
from tests.search_spaces.fake_dataset import conditions
from tests.search_spaces.protocol.test_presets import MOCO, SUPERVISED


def trials(study: str, here: Conditions, *rows: str) -> tuple[Trial, ...]:
    return STUDIES[study].trials(here, seeds=range(1), settings={}, only=rows)


def notes(study: str, here: Conditions, *rows: str) -> tuple[str, ...]:
    return forgotten_weights_notes(here, trials(study, here, *rows))


def test_rows_that_start_from_public_weights_ask_for_them_by_name():
    (note,) = notes("table3", conditions("full"))
    assert note.startswith("No self-supervised public weights are named, from which rows ")
    for choice in ("`--weights NAME`", "`freelunch weights add FILE --name NAME`", "`--stand-in`"):
        assert choice in note


def test_only_the_kind_that_is_missing_is_asked_for():
    here = replace(conditions("full"), weights=(MOCO,))
    assert notes("table3", here) == ()
    (note,) = notes("table1", here)
    assert note.startswith("No supervised public weights are named")
    assert notes("table1", replace(here, weights=(MOCO, SUPERVISED))) == ()


def test_rows_that_start_from_none_ask_for_none():
    assert notes("table3", conditions("full"), "untrained") == ()


def test_where_stand_ins_are_asked_for_or_nothing_else_exists_none_are_asked_for():
    assert notes("table3", replace(conditions("full"), stand_in=True)) == ()
    assert notes("table3", conditions("demo")) == ()
