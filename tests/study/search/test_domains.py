from dataclasses import replace

import optuna
import pytest

from study import Choice
from study.core.graph import walk
from study.search.domains import LogUniform, OrNone, PowerOfTwo, Uniform, When, described, is_active, rounded
from study.search.sampling import distribution
from study.search.space import Search
from tests.study.search.searched import SEARCH, Conditions
from trainers.stage import InputError


@pytest.mark.parametrize(
    ("domain", "low", "high", "sentence"),
    [
        (Uniform, 1, 1, "has no values"),
        (Uniform, 2, 1, "has no values"),
        (Uniform, 0, float("inf"), "has no values"),
        (Uniform, float("nan"), 1, "has no values"),
        (LogUniform, 0, 1, "begins above 0"),
        (LogUniform, -1, 1, "begins above 0"),
        (LogUniform, 0.12345, 1, "0.12345 has more than 4 significant digits"),
        (PowerOfTwo, 0, 8, "0 is not a power of two"),
        (PowerOfTwo, 2, 12, "12 is not a power of two"),
        (PowerOfTwo, 8, 2, "has no values"),
    ],
)
def test_a_range_that_holds_nothing_or_not_what_it_should_is_refused(domain, low, high, sentence):
    with pytest.raises(InputError, match=sentence):
        domain(low, high)


def test_numbers_are_rounded_to_four_significant_digits():
    assert [rounded(value) for value in (0.00123456, 12.3456, 0.99994, 49.99999)] == [0.001235, 12.35, 0.9999, 50.0]


@pytest.mark.parametrize("unit", [1, 8, 96])
def test_every_power_of_two_is_as_probable_as_the_others(unit: int):
    domain = PowerOfTwo(1, 16)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    blank = optuna.create_trial(state=optuna.trial.TrialState.RUNNING)
    drawn = [sampler.sample_independent(study, blank, "x", distribution(domain, unit)) for _ in range(2000)]
    counts = dict.fromkeys((1, 2, 4, 8, 16), 0)
    for value in drawn:
        counts[domain.nearest(value, unit) // unit] += 1
    lowest = 200 if unit == 1 else 320  # of whole numbers from 1 on there are few
    assert all(count > lowest for count in counts.values()), counts


def test_a_conditional_axis_exists_where_its_condition_holds():
    axis = When("teacher", ("head", "all"), Uniform(0, 1))
    assert [is_active(axis, {"teacher": value}) for value in ("head", "all", "none")] == [True, True, False]
    assert not is_active(axis, {})
    assert is_active(Uniform(0, 1), {})


def test_axes_are_described_in_words():
    texts = [
        described(axis, 8)
        for axis in (
            When("teacher", ("head", "all"), OrNone(LogUniform(0.1, 10))),
            PowerOfTwo(1, 4),
            Choice(("a", "b")),
            Uniform(0, 1),
        )
    ]
    assert texts == [
        "none, or from 0.1 to 10, logarithmic, where teacher is head or all",
        "powers of two from 1 to 4, times 8",
        "a, b",
        "from 0 to 1",
    ]


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
