"""Paired comparisons of two methods over videos: test, interval, Holm's correction, and power."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from study.analysis.intervals import mean_interval
from study.analysis.seed_spread import spread_remark
from study.analysis.signed_rank import signed_rank_p_value

Values = Mapping[int, Mapping[str, float | None]]
"""One metric of one method, higher being better: seed -> video -> value, None or NaN where undefined."""
Differences = npt.NDArray[np.float64]
"""(num_videos,): method minus baseline, in the metric's unit."""
Verdict = Literal["better", "worse", "inconclusive"]

ALPHA = 0.05
NUM_SIMULATIONS = 10_000
DIGITS = 9
"""Decimals to which differences are rounded, so that noise of the last bits is no difference."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Result of a paired comparison of a method with a baseline."""

    num_videos: int
    num_seeds: int
    mean_difference: float
    """Method minus baseline: the mean over videos of the mean over matched seeds."""
    interval: tuple[float, float] | None
    """95 % interval of the mean difference, over videos or that of the corrected t-test; None of too few."""
    p_value: float | None
    """Two-sided p-value of `test`; None where it could never be significant."""
    adjusted_p_value: float | None = None
    """The p-value after Holm's correction over a declared family; None outside a family."""
    alpha: float = ALPHA
    seed_differences: tuple[float, ...] = ()
    """The mean difference of each matched seed, in the order of the seeds."""
    test: Literal["signed-rank", "corrected t"] = "signed-rank"
    """Wilcoxon's test over videos or, of repeated cross-validations, the corrected resampled t-test over folds."""
    num_folds: int = 0
    """Number of matched folds, over all drawings; 0 without cross-validation."""
    remarks: tuple[str, ...] = ()
    """Whole sentences that belong to the numbers."""

    @property
    def verdict(self) -> Verdict:
        """Better or worse where the test is significant and the interval lies on one side of 0; else inconclusive."""
        p_value = self.p_value if self.adjusted_p_value is None else self.adjusted_p_value
        if p_value is None or p_value >= self.alpha or self.interval is None:
            return "inconclusive"
        if self.interval[0] > 0:
            return "better"
        return "worse" if self.interval[1] < 0 else "inconclusive"


UNTESTED = Comparison(num_videos=0, num_seeds=0, mean_difference=0.0, interval=None, p_value=None)
"""A comparison of a declared family that has no numbers yet."""


def compare(method: Values, baseline: Values, *, alpha: float = ALPHA) -> Comparison:
    """Compares two methods on the same videos, with the seeds that both were run with.

    Args:
        method: the values of the method.
        baseline: the values of the baseline.
        alpha: level of significance of the verdict.

    Raises:
        ValueError: no seed, or no video with a defined value, is common to both.
    """
    seeds = sorted(method.keys() & baseline.keys())
    if not seeds:
        raise ValueError(f"no seed in common: {sorted(method)} and {sorted(baseline)}")
    videos = _common_videos(method, baseline, seeds)
    if not videos:
        raise ValueError("no video has a defined value in every matched seed of both methods")
    by_seed = _matrix(method, seeds, videos) - _matrix(baseline, seeds, videos)
    differences = by_seed.mean(axis=0).round(DIGITS)
    remarks = (
        *_left_out(method, baseline, seeds, videos),
        video_remark(differences, alpha),
        seed_remark(len(seeds), alpha),
        spread_remark(by_seed.round(DIGITS)),
    )
    return Comparison(
        num_videos=len(videos),
        num_seeds=len(seeds),
        mean_difference=float(differences.mean()),
        interval=video_interval(differences, alpha=alpha),
        p_value=wilcoxon_p_value(differences, alpha=alpha),
        alpha=alpha,
        seed_differences=tuple(by_seed.mean(axis=1).round(DIGITS).tolist()),
        remarks=tuple(filter(None, remarks)),
    )


def correct_family(family: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """The comparisons of one declared table with p-values adjusted by Holm's method.

    A comparison that could not be tested counts as p = 1: it belongs to the family that was declared.
    """
    if not family:
        return {}
    p_values = [1.0 if comparison.p_value is None else comparison.p_value for comparison in family.values()]
    adjusted = holm(p_values)
    return {
        name: comparison if comparison.p_value is None else replace(comparison, adjusted_p_value=float(p_value))
        for (name, comparison), p_value in zip(family.items(), adjusted, strict=True)
    }


def holm(p_values: Sequence[float]) -> npt.NDArray[np.float64]:
    """p-values adjusted for all tests of a family, in their order.

    The smallest of n is multiplied by n, the next by n − 1, and so on; none falls below one that was smaller, nor
    exceeds 1.
    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    given = np.asarray(p_values)
    order = given.argsort(kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)).clip(max=1)
    return adjusted


def wilcoxon_p_value(differences: Differences, *, alpha: float = ALPHA) -> float | None:
    """Two-sided p-value of the signed-rank test; None where no outcome of it could be below `alpha`.

    Differences of zero are left out, as Wilcoxon does. Exact for up to 50 without ties, and up to 13 with them.
    """
    nonzero = differences[differences != 0]
    if smallest_p_value(len(nonzero)) >= alpha:
        return None
    return signed_rank_p_value(nonzero)


def smallest_p_value(num_differences: int) -> float:
    """The p-value of the two-sided signed-rank test when all differences have one sign: 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - num_differences))


def video_interval(differences: Differences, *, alpha: float = ALPHA) -> tuple[float, float] | None:
    """95 % interval of the mean over videos; None for so few that the signed-rank test could not be significant."""
    if smallest_p_value(len(differences)) >= alpha:
        return None
    low, high = mean_interval(differences)
    return float(low), float(high)


def wilcoxon_power(
    *,
    num_videos: int,
    sd: float,
    gain: float,
    alpha: float = ALPHA,
    num_simulations: int = NUM_SIMULATIONS,
    seed: int = 0,
) -> float:
    """Power of the signed-rank test, by simulation of normal differences.

    Args:
        num_videos: number of test videos.
        sd: standard deviation over videos of the paired difference, above 0, in the unit of `gain`.
        gain: true mean difference.
        alpha: level of significance.
        num_simulations: number of simulated comparisons; 10 000 leave a standard error of at most 0.005.
        seed: of the simulation.
    """
    if _without_power(num_videos, sd, alpha):
        return 0.0
    differences = np.random.default_rng(seed).normal(gain, sd, (num_simulations, num_videos))
    return float(np.mean(stats.wilcoxon(differences, axis=1).pvalue < alpha))


def verdict_power(
    *,
    num_videos: int,
    sd: float,
    gain: float,
    alpha: float = ALPHA,
    num_simulations: int = NUM_SIMULATIONS,
    seed: int = 0,
) -> float:
    """Probability of the verdict "better" without a family, for which test and interval must agree.

    Of the same simulated differences as `wilcoxon_power`, whose arguments it takes: it is at most that one.
    """
    if _without_power(num_videos, sd, alpha):
        return 0.0
    differences = np.random.default_rng(seed).normal(gain, sd, (num_simulations, num_videos))
    low, _ = mean_interval(differences)
    return float(np.mean((stats.wilcoxon(differences, axis=1).pvalue < alpha) & (low > 0)))


def _without_power(num_videos: int, sd: float, alpha: float) -> bool:
    if sd <= 0:
        raise ValueError(f"sd is {sd}: a power needs differences that vary")
    return smallest_p_value(num_videos) >= alpha


def video_remark(differences: Differences, alpha: float = ALPHA) -> str:
    """The reason why there is no p-value; empty where there is one."""
    num_videos, num_nonzero = len(differences), int(np.count_nonzero(differences))
    if smallest_p_value(num_nonzero) < alpha:
        return ""
    if num_nonzero == 0:
        return f"The two do not differ on any of {num_videos} videos: there is nothing to test."
    which = f"{num_videos} videos" if num_nonzero == num_videos else f"{num_nonzero} of {num_videos} videos that differ"
    smallest = smallest_p_value(num_nonzero)
    return f"With {which} a Wilcoxon test can never be significant (smallest p {smallest:.3g})."


def seed_remark(num_seeds: int, alpha: float = ALPHA) -> str:
    """Remark on the number of seeds; empty where a test over seeds would make sense."""
    if num_seeds == 1:
        return "One seed: nothing is known of the spread over seeds."
    smallest = smallest_p_value(num_seeds)
    if smallest < alpha:
        return ""
    return (
        f"With {num_seeds} seeds a Wilcoxon test over seeds can never be significant (smallest p {smallest:.3g}); "
        "the test is over videos."
    )


def _common_videos(method: Values, baseline: Values, seeds: Sequence[int]) -> list[str]:
    """The videos that have a value in every matched seed of both methods, in order of their name."""
    defined = [_defined(values[seed]) for values in (method, baseline) for seed in seeds]
    return sorted(set.intersection(*defined))


def _defined(values: Mapping[str, float | None]) -> set[str]:
    return {video for video, value in values.items() if value is not None and not math.isnan(value)}


def _matrix(values: Values, seeds: Sequence[int], videos: Sequence[str]) -> npt.NDArray[np.float64]:
    """(num_seeds, num_videos)."""
    return np.array([[values[seed][video] for video in videos] for seed in seeds], dtype=np.float64)


def _left_out(method: Values, baseline: Values, seeds: Sequence[int], videos: Sequence[str]) -> Iterator[str]:
    """Remarks on what is not compared because its partner, or its value, is missing."""
    lone_seeds = sorted((method.keys() | baseline.keys()) - set(seeds))
    if lone_seeds:
        yield f"Left out, being run with one of the two methods only: seed {', '.join(map(str, lone_seeds))}."
    known = {video for values in (method, baseline) for seed in seeds for video in values[seed]}
    lone_videos = sorted(known - set(videos))
    if lone_videos:
        yield f"Left out, being undefined somewhere: {', '.join(lone_videos)}."
