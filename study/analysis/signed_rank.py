"""Wilcoxon's signed-rank test with the p-values of `scipy.stats.wilcoxon`, at a small cost where differences tie."""

import numpy as np
import numpy.typing as npt
from scipy import stats

ENUMERATED_UP_TO = 13
"""Number of differences up to which SciPy's test is exact where some tie; beyond, it takes the normal approximation."""


def signed_rank_p_value(differences: npt.NDArray[np.float64]) -> float:
    """Two-sided p-value of the signed-rank test.

    Where at most 13 differences tie, SciPy evaluates the statistic for each of the 2^n patterns of signs, which takes
    seconds; here its distribution is a convolution. In all other cases SciPy's own test is quick.

    Args:
        differences: at least one, none of them 0.
    """
    ranks = stats.rankdata(np.abs(differences))
    if len(ranks) <= ENUMERATED_UP_TO and len(np.unique(ranks)) < len(ranks):
        return _exact_p_value(ranks, differences > 0)
    return float(stats.wilcoxon(differences).pvalue)


def _exact_p_value(ranks: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> float:
    """Twice the smaller tail of the sum of positive ranks, each of which is positive with probability 1/2."""
    doubled = (2 * ranks).astype(np.int64)  # ranks of ties are means: halves at the most
    probabilities = np.ones(1)  # of each sum
    for rank in doubled.tolist():
        probabilities = (np.pad(probabilities, (0, rank)) + np.pad(probabilities, (rank, 0))) / 2
    observed = int(doubled[positive].sum())
    tails = probabilities[: observed + 1].sum(), probabilities[observed:].sum()
    return min(1.0, 2 * float(min(tails)))
