"""The signed-rank test: SciPy's own values, without its enumeration of signs."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from study.analysis.paired_tests import wilcoxon_p_value
from study.analysis.signed_rank import ENUMERATED_UP_TO, signed_rank_p_value

TIED = st.lists(st.sampled_from([-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0]), min_size=2, max_size=9)


@settings(max_examples=40, deadline=None)
@given(TIED)
@example([1.0, -1.0])
@example([1.0] * 9)
def test_the_exact_p_value_of_differences_that_tie_is_scipys(differences: list[float]) -> None:
    every_sign = stats.PermutationMethod(n_resamples=2 ** len(differences))
    expected = stats.wilcoxon(differences, method=every_sign).pvalue
    assert signed_rank_p_value(np.array(differences)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [8, ENUMERATED_UP_TO + 1, 20, 50, 51, 80, 200])
@pytest.mark.parametrize("digits", [0, 6])
def test_scipys_default_p_value_comes_out_for_any_number_of_differences(size: int, digits: int) -> None:
    differences = np.random.default_rng(size).normal(0.5, 3, size).round(digits)
    differences[differences == 0] = 1
    assert signed_rank_p_value(differences) == pytest.approx(stats.wilcoxon(differences).pvalue, rel=1e-12)


@pytest.mark.parametrize("size", [6, ENUMERATED_UP_TO, ENUMERATED_UP_TO + 1, 40, 80])
def test_no_sign_pattern_is_enumerated_whatever_ties(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirteen of them would evaluate the statistic 8192 times."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the statistic would be evaluated for every pattern of signs")

    monkeypatch.setattr(stats, "permutation_test", refused)
    differences = np.array([1.0, -1.0, 2.0, 2.0, 3.0, 1.0, 4.0, 4.0] * 10)[:size]
    p_value = wilcoxon_p_value(differences)
    assert p_value is not None
    assert 0 < p_value <= 1


def test_thirteen_equal_gains_have_the_smallest_p_value_there_is() -> None:
    assert signed_rank_p_value(np.full(13, 2.5)) == 2**-12
    assert signed_rank_p_value(np.array([2.5, -2.5] * 6)) == 1
