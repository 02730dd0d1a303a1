"""95 % interval of a mean over few videos that covers it whether differences are normal, skewed or have long tails."""

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
SYMMETRIC = 1e-8
"""Skewness below which Hall's interval is Student's to the last digits that a double has."""


def mean_interval(values: Array) -> tuple[Array, Array]:
    """Lower and upper ends of the 95 % intervals of the means along the last axis.

    Student's interval, widened to Hall's on the side where that one is wider. Student's is exact for normal values, and
    slightly too wide for long tails on both sides; of skewed values it misses the mean on the side of the long tail.
    Hall's takes the skewness of the values out of the t statistic before quantiles are looked up, so it covers there,
    but is too narrow for long tails on both sides. Values that are all equal give an interval of width 0.

    Source: Hall (1992), On the removal of skewness by transformation, Journal of the Royal Statistical Society B 54,
    section 3, with Student's quantiles in place of normal ones as in Zhou and Gao (2000), The American Statistician 54.

    Args:
        values: (..., num_videos); two videos at least.
    """
    num = values.shape[-1]
    mean = values.mean(axis=-1)
    error = values.std(axis=-1, ddof=1) / math.sqrt(num)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, num - 1))
    skew = _skewness(values, mean) / math.sqrt(num)
    below = np.maximum(quantile, _untransformed(quantile, skew))
    above = np.maximum(quantile, -_untransformed(-quantile, skew))
    return mean - below * error, mean + above * error


def _skewness(values: Array, mean: Array) -> Array:
    """Third central moment over the cubed standard deviation (n); 0 where values do not vary."""
    centred = values - mean[..., None]
    spread = np.sqrt((centred**2).mean(axis=-1))
    cubed = spread**3
    skewness: Array = (centred**3).mean(axis=-1) / np.where(cubed > 0, cubed, 1.0)
    return skewness


def _untransformed(quantile: float, skew: Array) -> Array:
    """The t statistic that Hall's transformation takes to a quantile.

    The transformation is t + s t²/3 + s² t³/27 + s/6, where s is the skewness over the root of the number of values.
    """
    divisor = np.where(np.abs(skew) < SYMMETRIC, 1.0, skew)
    found = 3 * (np.cbrt(1 + divisor * (quantile - divisor / 6)) - 1) / divisor
    return np.where(np.abs(skew) < SYMMETRIC, quantile, found)
