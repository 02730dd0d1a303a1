"""Sentences of a plan on its tapes and on its power."""

from pathlib import Path

import pytest

from study.console.plan_tables import plan_record, plan_tables, tape_lines
from study.core.plan import make_plan
from study.core.store import Store
from tests.study.core.test_tapes import plan_of
from tests.study.small_study import STUDY


def test_what_a_tape_saves_or_costs_is_said(tmp_path: Path):
    store = Store(tmp_path)
    several, one = plan_of(store, "features"), plan_of(store, "embeddings", weights=(1,), for_one=True)
    assert tape_lines(several) == [
        "1 tape of what frozen networks say, for 3 stages: about 65 s less, and 9.0 GB of disk until they are "
        "finished (--tape off: none)"
    ]
    assert "for 1 stage: about 10 s more, as recording takes longer, and 1.0 GB" in tape_lines(one)[0]
    assert tape_lines(plan_of(store, "off")) == []
    assert plan_record(several)["saved_by_tapes_seconds"] == 65


def power_sentence(num_test_videos: int, home: Path) -> str:
    plan = make_plan(STUDY.trials(1), Store(home))
    found = plan_tables(STUDY, plan, {"cholec80": {"train": 40, "test": num_test_videos}})
    return next(line for line in found if isinstance(line, str) and line.startswith("videos:"))


def test_a_plan_says_how_often_a_gain_is_significant_and_how_often_its_verdict_is_better(tmp_path: Path) -> None:
    sentence = power_sentence(40, tmp_path)
    assert "found significant with probability 0.52 (Wilcoxon, α = 0.05)" in sentence
    assert "verdict is better with probability 0.48" in sentence


@pytest.mark.parametrize("num_test_videos", [0, 1, 5])
def test_a_plan_for_too_few_test_videos_says_that_nothing_can_be_significant(
    num_test_videos: int, tmp_path: Path
) -> None:
    sentence = power_sentence(num_test_videos, tmp_path)
    assert sentence.endswith(f"No gain can be significant with {num_test_videos} test videos (Wilcoxon, α = 0.05).")
