"""Remark on seeds that move all videos together, of which a test over videos knows nothing."""

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.05
SMALLEST_VARIANCE = 1e-18
"""Of differences that are rounded to nine decimals."""


def spread_remark(differences: npt.NDArray[np.float64]) -> str:
    """Sentence where the mean differences of seeds are further apart than chance within videos explains; else empty.

    That is the F test of the seeds' means in an analysis of variance of seeds and videos, one value each.

    Args:
        differences: (num_seeds, num_videos), method minus baseline.
    """
    num_seeds, num_videos = differences.shape
    if num_seeds < 2 or num_videos < 2:
        return ""
    by_seed = differences.mean(axis=1)
    rest = differences - by_seed[:, None] - differences.mean(axis=0) + differences.mean()
    freedom = (num_seeds - 1) * (num_videos - 1)
    of_seeds, of_rest = num_videos * by_seed.var(ddof=1), (rest**2).sum() / freedom
    if stats.f.sf(of_seeds / max(of_rest, SMALLEST_VARIANCE), num_seeds - 1, freedom) >= LEVEL:
        return ""
    listed = ", ".join(f"{each:+.1f}".replace("-", "−") for each in by_seed)
    return (
        f"Seeds move all videos together (mean difference by seed: {listed}): test and interval are over videos and "
        "hold for these seeds; others could give another verdict."
    )
