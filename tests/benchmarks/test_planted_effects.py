"""Verdicts on planted hospitals: how they are counted and predicted; one smallest run of everything."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import planted_effects
from benchmarks.planted_effects import SMALL, rates_of
from search_spaces.protocol.scales import SCALES
from study.analysis.paired_tests import verdict_power
from tests.study.tiny_cli import called
from tests.study.tiny_home import done

Scores = dict[int, dict[str, float | None]]


def scores(gain: float, seeds: int = 2, videos: int = 24) -> tuple[Scores, Scores]:
    """Scores of two rows; videos differ by much, their differences by 3 points."""
    rng = np.random.default_rng(0)
    names = [f"operation{number:02}" for number in range(videos)]
    reference = {seed: dict(zip(names, rng.normal(50, 10, videos).tolist(), strict=True)) for seed in range(seeds)}
    method = {
        seed: {name: value + gain + rng.normal(0, 3) for name, value in row.items()} for seed, row in reference.items()
    }
    return method, reference  # type: ignore[return-value]


def test_every_group_of_videos_and_every_seed_is_a_comparison():
    alone, together = (rates_of("planted", *scores(20.0), num_videos=8, num_seeds=seeds) for seeds in (1, 2))
    assert (alone.better, alone.worse, alone.inconclusive) == (2 * 3, 0, 0)
    assert (together.better, together.worse, together.inconclusive) == (3, 0, 0)
    assert alone.gain == pytest.approx(20, abs=1)
    assert alone.sd == pytest.approx(3, rel=0.25)
    assert together.sd == pytest.approx(3 / np.sqrt(2), rel=0.3)
    assert min(alone.predicted_better, together.predicted_better) > 0.99


def test_videos_that_fill_no_group_are_left_out():
    rates = rates_of("planted", *scores(20.0, seeds=1, videos=23), num_videos=8, num_seeds=1)
    assert rates.better + rates.worse + rates.inconclusive == 2


def test_a_loss_counts_as_worse_and_is_predicted_so():
    rates = rates_of("planted", *scores(-20.0), num_videos=8, num_seeds=1)
    assert (rates.better, rates.worse) == (0, 6)
    assert rates.predicted_better == 0
    assert rates.predicted_worse > 0.99


def test_what_is_predicted_is_the_power_of_the_gain_and_spread_of_each_seed():
    method, reference = scores(2.0, seeds=1)
    rates = rates_of("planted", method, reference, num_videos=8, num_seeds=1)
    assert rates.predicted_better == verdict_power(num_videos=8, sd=rates.sd, gain=rates.gain)
    assert 0.1 < rates.predicted_better < 0.7


def test_rows_that_do_not_differ_at_all_are_inconclusive():
    _, reference = scores(0.0)
    rates = rates_of("null", reference, reference, num_videos=8, num_seeds=1)
    assert (rates.inconclusive, rates.predicted_better, rates.predicted_worse) == (6, 0, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_scale", "no_pictures")
def test_the_smallest_run_shares_its_pretraining_and_writes_tables_of_both_hospitals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    output, said = tmp_path / "figures.json", list[str]()

    def run(command: list[object], *, check: bool) -> None:
        (*program, home), asked = command[:5], command[5:]
        assert (program, check) == ([sys.executable, "-m", "study.cli", "--home"], True)
        said.append(done(called(Path(str(home)), *map(str, asked))).output)

    monkeypatch.setattr(planted_effects, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setitem(SCALES, "demo", replace(SCALES["demo"], finetune_epochs=1, temporal_epochs=1))
    monkeypatch.setattr("sys.argv", ["", "--small", "--home", str(tmp_path / "home"), "--output", str(output)])
    planted_effects.main()
    figures = json.loads(output.read_text())
    assert "(planted/moco; null/moco) done" in said[-1]
    assert figures["sizes"]["test"] == SMALL.test
    assert {each["hospital"] for each in figures["rates"]} == {"planted", "null"}
    assert all(each["better"] + each["worse"] + each["inconclusive"] == 2 for each in figures["rates"])
    assert output.with_suffix(".md").read_text() in capsys.readouterr().out
