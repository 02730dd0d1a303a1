"""Domains: what they refuse, how they are drawn, and their descriptions."""

import optuna
import pytest

from study import Choice
from study.search.domains import LogUniform, OrNone, PowerOfTwo, Uniform, When, described, is_active, rounded
from study.search.sampling import distribution
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
        (PowerOfTwo, 1, 2.0, "2.0 is no number of the kind that it takes"),
        (PowerOfTwo, True, 2, "True is no number"),
        (Uniform, "a", "b", "'a' is no number"),
        (Uniform, 0, 10**400, "has no values"),
        (LogUniform, None, 1, "None is no number"),
    ],
)
def test_a_range_that_holds_nothing_or_not_what_it_should_is_refused(domain, low, high, sentence):
    with pytest.raises(InputError, match=sentence):
        domain(low, high)


def test_the_values_of_a_condition_are_no_text():
    with pytest.raises(InputError, match=r"needs its values in brackets: \('head',\)"):
        When("teacher", "head", Uniform(0, 1))


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
