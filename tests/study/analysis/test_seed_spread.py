"""The remark on seeds that move all videos together: where it stands, and how seldom it is wrong."""

import numpy as np
import pytest

from study.analysis.paired_tests import compare
from study.analysis.seed_spread import spread_remark


def test_seeds_that_move_all_videos_are_remarked_upon_with_their_means():
    noise = np.random.default_rng(0).normal(0, 0.5, (3, 16))
    remark = spread_remark(noise - noise.mean(axis=1, keepdims=True) + np.array([[2.0], [-1.0], [0.5]]))
    assert "(mean difference by seed: +2.0, −1.0, +0.5)" in remark
    assert remark.endswith("others could give another verdict.")


@pytest.mark.parametrize("num_seeds", [2, 5])
def test_seeds_that_differ_by_chance_alone_are_remarked_upon_in_one_of_twenty(num_seeds: int):
    rng = np.random.default_rng(num_seeds)
    videos = rng.normal(0, 3, (400, 1, 16))
    found = [spread_remark(each) for each in videos + rng.normal(size=(400, num_seeds, 16))]
    assert 0.02 < np.mean([remark != "" for remark in found]) < 0.08


@pytest.mark.parametrize("differences", [[[1.0, 2.0, 3.0]], [[1.0], [5.0]], [[0.0] * 9] * 3, [[0.1] * 9] * 3])
def test_one_seed_one_video_or_no_difference_at_all_needs_no_remark(differences: list[list[float]]):
    assert spread_remark(np.array(differences)) == ""


def test_seeds_that_differ_by_the_same_on_every_video_are_remarked_upon_in_a_comparison():
    baseline = {seed: {f"video{i}": 80.0 for i in range(8)} for seed in range(2)}
    method = {seed: {f"video{i}": 81.0 + 2 * seed for i in range(8)} for seed in range(2)}
    comparison = compare(method, baseline)
    assert any("by seed: +1.0, +3.0" in remark for remark in comparison.remarks)
