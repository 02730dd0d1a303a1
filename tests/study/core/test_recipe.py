"""Identities of recipes: what MLflow and Optuna tell studies and searches of one name apart by."""

import functools

import pytest

from search_spaces.recipes.distillation import distilled
from search_spaces.recipes.rivals import swav
from study.core.recipe import current_identity, identity_of
from tests.study import small_study


def test_a_recipe_of_this_repository_is_known_by_its_name_wherever_its_module_is():
    assert identity_of(distilled) == "freelunch.distilled"
    assert identity_of(functools.partial(swav, num_prototypes=8)) == "freelunch.swav"


def test_any_other_recipe_is_known_by_its_module_and_name():
    assert identity_of(small_study.student) == "tests.study.small_study.student"
    assert identity_of(lambda conditions, *, seed: None).startswith("tests.study.core.test_recipe.test_any_other")


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("search_spaces.recipes.distilled", "freelunch.distilled"),
        ("search_spaces.rivals.swav", "freelunch.swav"),
        ("search_spaces.recipes.distillation.distilled", "freelunch.distilled"),
        ("freelunch.distilled", "freelunch.distilled"),
        ("own_study_my_study.warmed", "own_study_my_study.warmed"),
        ("own_study_my_study.Called.__call__", "own_study_my_study.Called.__call__"),
    ],
)
def test_identities_that_earlier_versions_wrote_are_understood(written: str, means: str):
    assert current_identity(written) == means
