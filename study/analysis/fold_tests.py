"""Paired comparisons of cross-validated rows, whose folds share training videos."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from study.analysis.intervals import CONFIDENCE
from study.analysis.paired_tests import (
    ALPHA,
    DIGITS,
    Comparison,
    Differences,
    compare,
    seed_remark,
    video_interval,
    video_remark,
    wilcoxon_p_value,
)
from trainers.names import Fold


class FoldRun(NamedTuple):
    """One fold at one seed."""

    seed: int
    fold: Fold


Run = int | FoldRun
"""A seed or, of a cross-validation, a fold at a seed."""
Runs = Mapping[Run, Mapping[str, float | None]]
"""One metric of one method: run -> video -> value, None or NaN where undefined."""


def compare_runs(method: Runs, baseline: Runs, *, alpha: float = ALPHA) -> Comparison:
    """Compares two methods on the same videos, in the runs that both have; by fold where they are cross-validated.

    Raises:
        ValueError: no run, or no video with a defined value, is common to both.
    """
    shared = [run for run in method if run in baseline and isinstance(run, FoldRun)]
    if shared:
        return _compare_folds(method, baseline, sorted(shared), alpha)
    ours, theirs = ({r: v for r, v in runs.items() if isinstance(r, int)} for runs in (method, baseline))
    return compare(ours, theirs, alpha=alpha)


def _compare_folds(method: Runs, baseline: Runs, shared: Sequence[FoldRun], alpha: float) -> Comparison:
    """Compares two cross-validated methods.

    A video's difference is its mean over the drawings and seeds in which both methods tested it. Of one drawing the
    test is Wilcoxon's over videos, as elsewhere; of several it is the corrected resampled t-test over folds.
    """
    differences, left_out = _differences(method, baseline, shared)
    if not differences:
        raise ValueError("no video has a defined value in every matched fold of both methods")
    per_video = np.array([np.mean(list(runs.values())) for _, runs in sorted(differences.items())]).round(DIGITS)
    by_fold = _fold_means(differences)
    repeats, count = {fold.repeat for fold in by_fold}, shared[0].fold.count
    seeds = sorted({run.seed for run in shared})
    if len(repeats) > 1:
        p_value, interval = corrected_resampled_t(
            np.array(list(by_fold.values())), count=count, mean=float(per_video.mean())
        )
        remarks = [_repeated_remark(len(by_fold), count, len(repeats), tested=p_value is not None)]
    else:
        p_value, interval = wilcoxon_p_value(per_video, alpha=alpha), video_interval(per_video, alpha=alpha)
        remarks = [video_remark(per_video, alpha), _shared_remark(len(per_video), len(by_fold), count)]
    return Comparison(
        num_videos=len(per_video),
        num_seeds=len(seeds),
        mean_difference=float(per_video.mean()),
        interval=interval,
        p_value=p_value,
        alpha=alpha,
        seed_differences=tuple(_seed_mean(differences, seed) for seed in seeds),
        remarks=tuple(
            filter(None, (*_lone_runs(method, baseline, shared), left_out, *remarks, seed_remark(len(seeds), alpha)))
        ),
        test="corrected t" if len(repeats) > 1 else "signed-rank",
        num_folds=len(by_fold),
    )


def corrected_resampled_t(
    differences: Differences, *, count: int, mean: float | None = None
) -> tuple[float | None, tuple[float, float] | None]:
    """Two-sided p-value and 95 % interval of the mean by the corrected resampled t-test.

    The variance of the mean of J folds is taken as (1/J + n_test/n_train) times that of a fold, since folds share
    training videos; of k folds n_test/n_train is 1/(k−1).

    Source: Nadeau and Bengio, Machine Learning 52 (2003), section 3; over repeated folds as in Bouckaert and Frank,
    PAKDD 2004.

    Args:
        differences: mean difference of each of the J folds of all drawings.
        count: k, the number of folds of a drawing.
        mean: what is tested, and is the middle of the interval: the mean over videos, say, from which that over folds
            differs where some folds have a video more. The mean of the differences where None.

    Returns:
        Neither where there is nothing to test: fewer than two folds, or folds that do not differ.
    """
    num_folds = len(differences)
    if num_folds < 2 or np.ptp(differences) == 0:
        return None, None
    mean = float(differences.mean()) if mean is None else mean
    error = math.sqrt((1 / num_folds + 1 / (count - 1)) * float(differences.var(ddof=1)))
    p_value = 2 * float(stats.t.sf(abs(mean) / error, num_folds - 1))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, num_folds - 1)) * error
    return p_value, (mean - reach, mean + reach)


def _differences(
    method: Runs, baseline: Runs, shared: Sequence[FoldRun]
) -> tuple[dict[str, dict[FoldRun, float]], str]:
    """Method minus baseline by video and run, and a remark on the videos that are undefined somewhere."""
    found: dict[str, dict[FoldRun, float]] = {}
    undefined: set[str] = set()
    for run in shared:
        for video in method[run].keys() | baseline[run].keys():
            ours, theirs = method[run].get(video), baseline[run].get(video)
            if ours is None or theirs is None or math.isnan(ours - theirs):
                undefined.add(video)
            else:
                found.setdefault(video, {})[run] = ours - theirs
    kept = {video: runs for video, runs in found.items() if video not in undefined}
    remark = f"Left out, being undefined somewhere: {', '.join(sorted(undefined))}." if undefined else ""
    return kept, remark


def _fold_means(differences: Mapping[str, Mapping[FoldRun, float]]) -> dict[Fold, float]:
    """Mean difference of every fold over its videos and the seeds."""
    by_fold: dict[Fold, list[float]] = {}
    for runs in differences.values():
        for run, difference in runs.items():
            by_fold.setdefault(run.fold, []).append(difference)
    return {fold: round(float(np.mean(found)), DIGITS) for fold, found in sorted(by_fold.items())}


def _seed_mean(differences: Mapping[str, Mapping[FoldRun, float]], seed: int) -> float:
    found = [
        float(np.mean(own))
        for runs in differences.values()
        if (own := [difference for run, difference in runs.items() if run.seed == seed])
    ]
    return round(float(np.mean(found)), DIGITS)


def _lone_runs(method: Runs, baseline: Runs, shared: Sequence[FoldRun]) -> Iterator[str]:
    lone = [run for run in {*method, *baseline} - set(shared) if isinstance(run, FoldRun)]
    if lone:
        names = ", ".join(f"{run.fold} of seed {run.seed}" for run in sorted(lone))
        yield f"Left out, being run with one of the two methods only: {names}."


def _shared_remark(num_videos: int, num_folds: int, count: int) -> str:
    folds = f"{num_folds} folds" if num_folds == count else f"{num_folds} of {count} folds"
    return (
        f"Differences of {num_videos} videos are pooled over {folds}, each video where it is tested. Models of "
        "different folds share training videos: the differences are not independent, folds are no repetitions as seeds "
        "are, and the p-value is somewhat too small for models that would be trained on other videos."
    )


def _repeated_remark(num_folds: int, count: int, repeats: int, *, tested: bool) -> str:
    if not tested:
        return f"The {num_folds} folds of {repeats} drawings do not differ in their mean differences: nothing to test."
    return (
        f"Over {count} folds of {repeats} drawings, p-value and interval are those of the corrected resampled t-test "
        f"(Nadeau and Bengio, 2003): folds share training videos, so the variance of the {num_folds} folds' mean "
        f"differences counts 1/{num_folds} + 1/{count - 1} times instead of 1/{num_folds}."
    )
