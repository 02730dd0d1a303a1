"""Losses of three steps, as they have been: a refactoring leaves them, a change of numbers updates them.

pytest tests/trainers/ssl/test_golden_losses.py --update-golden
"""

import json
from pathlib import Path

import pytest

from tests.trainers.ssl.test_method_contract import METHODS, backbone_for
from tests.trainers.tiny import take_steps

GOLDEN = Path(__file__).parents[2] / "golden" / "losses.json"


def losses_now(folder):
    losses = {}
    for name, prepared in METHODS.items():
        config, inputs = prepared(folder / name)
        losses[name] = take_steps(config.build(backbone_for(config), inputs, seed=7), range(3))
    return losses


def test_losses_are_the_golden_ones(tmp_path, request):
    losses = losses_now(tmp_path)
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(json.dumps(losses, indent=2) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert losses.keys() == golden.keys()
    for name, steps in golden.items():
        assert losses[name] == [pytest.approx(terms, rel=1e-5, abs=1e-7) for terms in steps], name
