from dataclasses import replace

import pytest

from study import Choice, Row, Study, cross_validated, folds
from study.core.folds import pooled_rows, pooled_study
from tests.study.folded_study import STUDY, folded
from trainers.stage import InputError


def study_of(**parts: object) -> Study:
    return replace(Study(name="s", title="?", question="?", recipe=folded), **parts)


def test_an_axis_of_folds_alone_is_one_row():
    study = study_of(axes={"split": folds(3)})
    assert {row.name for row in pooled_rows(study.all_rows()).values()} == {"3 folds"}
    (row,) = pooled_study(study).all_rows()
    assert (row.title, row.parameters) == ("3 folds", {})


def test_folds_beside_another_axis_are_a_row_for_each_of_its_values():
    axes = {"error": Choice((0.1, 0.2), ("few, and short", "many")), "split": folds(2, repeats=2)}
    study = study_of(axes=axes, reference="error=0.2")
    rows = pooled_study(study).all_rows()
    assert [(row.name, row.title) for row in rows] == [("error=0.1", "few, and short"), ("error=0.2", "many")]
    assert rows[0].parameters == {"error": 0.1}


def test_the_reference_may_be_a_fold_of_its_pool():
    axes = {"error": Choice((0.1, 0.2)), "split": folds(2)}
    study = study_of(axes=axes, reference="error=0.2,split=fold2of2")
    assert pooled_study(study).reference == "error=0.2"


def test_a_cross_validated_study_has_every_row_at_every_fold_and_is_shown_with_its_own_rows():
    study = cross_validated(STUDY, "cv", count=4, repeats=2)
    assert len(study.all_rows()) == 3 * 8
    assert study.all_rows()[5].parameters == {"error": 0.3, "split": "fold2of4r2"}
    shown = pooled_study(study)
    assert [(row.name, row.title, row.baseline) for row in shown.all_rows()] == [
        (row.name, row.title, row.baseline) for row in STUDY.rows
    ]
    assert shown.reference == "usual"


def test_folds_of_other_numbers_and_a_fold_alone_stay_rows_of_their_own():
    rows = tuple(
        Row(name=name, title=name, parameters={"split": name}) for name in ("fold1of2", "fold1of3", "official")
    )
    study = study_of(rows=rows)
    assert pooled_study(study) is study


def test_two_pools_that_have_no_name_in_common_get_names_of_their_own():
    rows = tuple(
        Row(name=f"{fold} {error}", title=f"{fold} {error}", parameters={"split": fold, "error": error})
        for error in (0.1, 0.2)
        for fold in ("fold1of2", "fold2of2")
    )
    names = [row.name for row in pooled_study(study_of(rows=rows)).all_rows()]
    assert len(set(names)) == len(names) == 2


def test_what_cannot_be_cross_validated_is_refused():
    with pytest.raises(InputError, match="1 folds of 1 drawings cannot be: take 2 to 1000 folds"):
        folds(1)
    with pytest.raises(InputError, match="row 'fold1of2' of study s sets split itself"):
        cross_validated(study_of(axes={"split": folds(2)}), "cv", count=3)
