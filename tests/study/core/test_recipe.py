"""Recipes: the hyperparameters that a signature offers, calls, and identities in MLflow and Optuna."""

import functools
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import pytest

from search_spaces.recipes import distilled, swav
from study.core.recipe import bind, current_identity, identity_of, named_settings, vocabulary
from tests.study import small_study
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Point(Stage):
    values: tuple[str, ...]

    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 1.0


class Shared(TypedDict, total=False):
    split: Literal["small", "large"] | None


class Settings(Shared, total=False):
    rate: float | None


@named_settings
def grouped(conditions: str, *, seed: int, size: int = 3, **settings: Unpack[Settings]) -> Point:
    return Point(values=(conditions, str(seed), str(size), *(f"{name}={value}" for name, value in settings.items())))


def open_ended(conditions: str, *, seed: int, size: int = 3, **rest: Any) -> Point:
    return Point(values=tuple(rest))


def test_a_group_of_settings_is_part_of_the_vocabulary_with_the_groups_it_extends():
    assert vocabulary(grouped) == {"size": int, "split": Literal["small", "large"] | None, "rate": float | None}
    assert vocabulary(functools.partial(grouped, rate=0.5)) == vocabulary(grouped)


def test_keyword_arguments_that_nobody_names_are_no_hyperparameters():
    assert vocabulary(open_ended) == {"size": int}


def test_settings_are_read_as_their_group_says():
    parameters, stage = bind(grouped, "here", 1, {"rate": "2", "split": "none", "size": "4"})
    assert parameters == {"rate": 2.0, "split": None, "size": 4}
    assert stage == Point(values=("here", "1", "4", "rate=2.0", "split=None"))
    with pytest.raises(InputError, match="rate=fast does not fit: rate takes a number or none"):
        bind(grouped, "here", 1, {"rate": "fast"})
    with pytest.raises(InputError, match="has no hyperparameter 'rat'; did you mean 'rate'"):
        bind(grouped, "here", 1, {"rat": "2"})


def test_a_recipe_with_a_group_of_settings_refuses_other_keywords_as_any_function_does():
    with pytest.raises(TypeError, match=r"grouped\(\) got an unexpected keyword argument 'tau'"):
        grouped("here", seed=1, tau=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"distilled\(\) got an unexpected keyword argument 'tau'"):
        distilled(None, seed=1, tau=1)  # type: ignore[arg-type, call-arg]


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
