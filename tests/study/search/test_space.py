"""Search spaces: fixed and conditional hyperparameters, extreme trials, the initial point."""

from dataclasses import replace

import pytest

from study.core.graph import walk
from study.search.domains import LogUniform
from study.search.space import Search
from tests.study.search.stub_search import SEARCH, Conditions
from trainers.stage import InputError


def test_an_axis_that_the_recipe_does_not_know_is_refused_with_the_nearest_that_it_does():
    search = replace(SEARCH, axes={"wieght": LogUniform(1, 2)})
    with pytest.raises(InputError, match="recipe student has no hyperparameter 'wieght'; did you mean 'weight'"):
        search.bind(Conditions())
    with pytest.raises(InputError, match="has no hyperparameter 'epoch'"):
        SEARCH.bind(Conditions(), {"epoch": "3"})


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="weight=heavy does not fit: weight takes a number"):
        SEARCH.bind(Conditions(), {"weight": "heavy"})


def test_a_search_with_nothing_to_search_is_refused():
    everything = {"weight": 1, "temperature": 0.1, "own_temperature": 0.1, "queue_size": 8, "teacher": "none"}
    with pytest.raises(InputError, match="search stub has nothing to search"):
        SEARCH.bind(Conditions(), everything)
    with pytest.raises(InputError, match="search stub has nothing to search"):
        replace(SEARCH, axes={}).bind(Conditions())


def test_an_axis_must_come_after_what_it_depends_on():
    axes = dict(reversed(SEARCH.axes.items()))
    with pytest.raises(InputError, match="axis teacher_epochs depends on 'teacher', which no earlier axis"):
        replace(SEARCH, axes=axes).bind(Conditions())


def test_what_is_fixed_decides_which_conditional_axes_are_left():
    assert "teacher_epochs" in SEARCH.bind(Conditions(), {"teacher": "head"}).axes
    assert "teacher_epochs" not in SEARCH.bind(Conditions(), {"teacher": "none"}).axes


def test_corners_differ_on_every_axis_and_share_what_no_hyperparameter_touches():
    space = SEARCH.bind(Conditions())
    first, second = space.extreme_trials()
    assert first.parameters == {
        "weight": 0.1, "temperature": 0.02, "own_temperature": 0.02, "queue_size": 8, "teacher": "none"
    }  # fmt: skip
    assert second.parameters["teacher_epochs"] == 8
    assert second.parameters["queue_size"] == 128
    stages = walk(first.stage)
    assert [type(stages[stage_key]).__name__ for stage_key in space.invariant_stages()] == ["Data"]


KNOWN = {"weight": 2.0, "temperature": 0.2, "queue_size": 32, "teacher": "head", "teacher_epochs": 4}


def known_point(**changes: object) -> Search:
    return replace(SEARCH, initial_point=lambda conditions, settings: KNOWN | changes)


def test_a_search_begins_at_the_point_that_it_names():
    assert known_point().bind(Conditions()).initial_point() == KNOWN
    assert SEARCH.bind(Conditions()).initial_point() is None


def test_what_is_fixed_is_not_in_the_first_point_nor_what_there_is_not_then():
    space = known_point().bind(Conditions(), {"teacher": "none", "weight": 3})
    assert space.initial_point() == {"temperature": 0.2, "queue_size": 32}


@pytest.mark.parametrize(
    "outside",
    [{"weight": 20.0}, {"weight": None}, {"temperature": 0.12345}, {"queue_size": 48}, {"teacher": "some"}],
)
def test_a_point_outside_the_space_is_not_begun_at(outside: dict[str, object]):
    assert known_point(**outside).bind(Conditions()).initial_point() is None


def test_an_objective_may_depend_on_what_is_fixed():
    other = replace(SEARCH.objective, title="worth by another measure, %")
    search = replace(SEARCH, objective_under=lambda conditions, fixed: other if "weight" in fixed else SEARCH.objective)
    spaces = search.bind(Conditions()), search.bind(Conditions(), {"weight": 1})
    assert [space.search.objective.title for space in spaces] == [SEARCH.objective.title, other.title]
    assert [space.identity()["objective"] for space in spaces] == [SEARCH.objective.title, other.title]
