"""Simulated rates of verdicts: what is planted comes out of the scores, and the rates are those of the comparison."""

import json

import numpy as np
import pytest

from benchmarks import verdict_rates
from benchmarks.verdict_rates import Setting, measure_family, measure_rates, simulated


def mean_differences(setting: Setting, num_draws: int) -> np.ndarray:
    """(num_draws, num_videos): the mean over seeds."""
    source = simulated(setting)
    found = []
    for _ in range(num_draws):
        (row,), reference = next(source)
        found.append([np.mean([row[s][v] - reference[s][v] for s in row]) for v in row[0]])
    return np.array(found)


@pytest.mark.parametrize("shape", verdict_rates.SHAPES)
def test_simulated_differences_have_the_gain_and_the_spread_of_their_setting(shape: str):
    setting = Setting(num_videos=40, num_seeds=3, shape=shape, gain=2.0)
    differences = mean_differences(setting, 200)
    assert differences.mean() == pytest.approx(2, abs=0.15)
    assert differences.std() == pytest.approx(setting.sd, rel=0.15)


def test_seeds_that_differ_move_all_videos_together():
    shifted = mean_differences(Setting(num_videos=40, num_seeds=1, seed_shift=2.0), 200)
    assert shifted.mean(axis=1).std() == pytest.approx(np.hypot(2, 3 / np.sqrt(40)), rel=0.2)


def test_rates_are_repeatable_and_those_of_an_effect_that_cannot_be_missed():
    setting = Setting(num_videos=16, num_seeds=2, gain=20.0)
    rates = measure_rates(setting, 10, 100)
    assert (rates.better, rates.worse, rates.significant, rates.predicted) == (1, 0, 1, 1)
    assert measure_rates(setting, 10, 100) == rates


def test_holms_correction_spares_a_table_of_several_rows_most_wrong_verdicts():
    rates = measure_family(16, 8, 60)
    assert rates["wrong_holm"] < 0.12 < rates["wrong_alone"]
    assert rates["found_holm"] < rates["found_alone"]


def test_the_smallest_form_prints_its_tables_and_writes_its_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verdict_rates, "NUM_VIDEOS", (7,))
    monkeypatch.setattr("sys.argv", ["verdict_rates", "--small", "--output", str(tmp_path / "rates.json")])
    verdict_rates.main()
    written = json.loads((tmp_path / "rates.json").read_text())
    assert len(written["rates"]) == 2 * 4 * 5 + 2 * 4
    assert {each["setting"]["num_videos"] for each in written["rates"]} == {7}
    assert "| normal | 7 | 3 |" in capsys.readouterr().out
