from dataclasses import replace

import pytest

from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.trial_splits import fold_notes, num_videos
from search_spaces.recipes import majority_class
from search_spaces.studies.catalogue import STUDIES
from study import Choice, Study, cross_validated
from study.core.graph import key
from study.core.study import Trial
from tests.search_spaces.fake_dataset import conditions
from trainers.stage import InputError

FOLDS = ("fold1of3", "fold2of3", "fold3of3")


def asked(*splits: str) -> tuple[Trial, ...]:
    axes = {"split": Choice(splits)}
    study = Study(name="folds", title="?", question="?", recipe=majority_class, axes=axes)
    return study.trials(conditions(num_videos=12))


def test_sides_are_those_of_the_split_that_is_asked_for():
    here = conditions(num_videos=12)
    assert num_videos(here, [None]) == {"train": 5, "validation": 1, "test": 6}
    assert num_videos(here, ["official"]) == {"train": 6, "validation": 0, "test": 6}
    assert num_videos(here, ["fold2of3"]) == {"train": 6, "validation": 2, "test": 4}
    assert num_videos(here, FOLDS) == {"train": 6, "validation": 2, "test": 12}
    assert num_videos(here, ["of a user's recipe", "fold5of2"]) == num_videos(here, [None])


def test_folds_validate_where_the_preset_does():
    here = replace(conditions(num_videos=12), preset=PRESETS["paper"])
    assert num_videos(here, FOLDS) == {"train": 8, "validation": 0, "test": 12}


def test_a_plan_says_what_its_folds_test():
    here = conditions(num_videos=12)
    assert fold_notes(here, asked("selection")) == ()
    (whole,) = fold_notes(here, asked(*FOLDS))
    assert whole == (
        "Videos are tested in 3 folds: a fold trains on 6 videos, validates on 2 and tests 4, give or take one."
    )
    (part,) = fold_notes(here, asked("fold1of3", "fold1of3r2"))
    assert "3 folds of 2 drawings; 4 of them are not asked for" in part
    (lone,) = fold_notes(here, asked("fold2of3"))
    assert lone.startswith("fold2of3 alone is asked for: its test videos are neither those of the published split")
    assert "none pools them. `cross_validated(STUDY, NAME, count=3)` in a file of your own" in lone


@pytest.mark.parametrize("row", ["moco", "ours"])
def test_a_cross_validated_study_has_the_stages_of_runs_of_one_fold_each(row: str):
    here, asked = conditions(num_videos=12), STUDIES["table1"]
    single = [asked.trials(here, settings={"split": fold}, only=[row]) for fold in FOLDS]
    pooled = cross_validated(asked, "cv", count=3).trials(here, only=[f"{row},{fold}" for fold in FOLDS])
    assert [key(trial.stage) for trial in pooled] == [key(trial.stage) for (trial,) in single]


def test_a_text_that_is_no_split_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="split=fold3 does not fit: split takes one of selection, official or a fold"):
        asked("fold3")
    with pytest.raises(InputError, match="split fold4of3 does not exist"):
        asked("fold4of3")


def test_a_fold_and_the_same_of_its_first_drawing_are_one_trial():
    first, same, other = asked("fold1of3", "fold1of3r1", "fold1of3r2")
    assert first.stage == same.stage != other.stage
