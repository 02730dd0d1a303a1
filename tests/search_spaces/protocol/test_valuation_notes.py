"""Notes on the videos that a search values its trials on."""

from search_spaces.protocol.valuation_notes import valuation_notes
from search_spaces.searches.distilled import search_distilled
from search_spaces.studies.table3 import table3
from tests.search_spaces.fake_dataset import conditions


def notes(settings: dict[str, str]) -> tuple[str, ...]:
    here = conditions()
    return valuation_notes(here, search_distilled.bind(here, settings).extreme_trials())


def test_folds_are_counted_and_what_pretraining_sees_is_said():
    (note,) = notes({})
    assert "over 5 folds of 5 labelled videos (1 of them for validation)" in note
    assert "pre-training sees the frames of the others, never their labels" in note


def test_where_validation_videos_alone_count_the_note_says_why():
    assert notes({"finetune_mode": "full"}) == (
        "Trials are valued on the validation videos alone (1 of them): features of a fine-tuned backbone depend on "
        "labels, so that folds cannot share them.",
    )
    (note,) = notes({"label_fraction": "0.5"})
    assert "they learn from no more labels than label_fraction asks for" in note


def test_trials_of_studies_have_no_such_note():
    here = conditions()
    assert valuation_notes(here, table3.trials(here)) == ()
