import json

import pytest
import torch

from benchmarks import gpu, measuring

TESTED_APART = "data_path"
"""In a process of its own: test_data_path.py."""


def test_benchmarks_of_training_run_in_their_smallest_form_and_their_figures_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
):
    assert TESTED_APART in gpu.BENCHMARKS
    others = tuple(name for name in gpu.BENCHMARKS if name != TESTED_APART)
    monkeypatch.setattr(gpu, "BENCHMARKS", others)
    device = torch.device("cpu")
    figures = {**measuring.machine(device), **gpu.measure(device, small=True)}
    assert [figures[name].get("failed") for name in others] == [None] * len(others)
    assert all(rate > 0 for step in figures["step"]["steps"] for rate in step["frames_per_second"].values())
    rates = [figures["features"]["frames_per_second"], figures["temporal"]["milliseconds"]]
    assert all(value > 0 for each in rates for value in each.values())
    assert {"Pretrain DistilledMoCo", "Evaluate"} <= {line["stage"] for line in figures["full_scale"]["stages"]}
    assert (figures["resuming"]["largest_difference"], figures["resuming"]["same_history"]) == (0.0, True)
    assert json.loads(json.dumps(figures)) == figures
