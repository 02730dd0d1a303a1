"""What is asked before a run or a search starts."""

from pathlib import Path

import pytest

from tests.study.tiny_cli import called
from tests.study.tiny_home import refused

pytestmark = pytest.mark.usefixtures("tiny_scale")

SMALL = ("--set", "batch_size=4", "--set", "queue_size=4", "--set", "batch_norm_splits=1")
FULL = ("--dataset", "tiny", *SMALL)
"""Scale `full` on so few frames."""


@pytest.mark.parametrize("command", [("run", "table3"), ("search", "distilled")])
def test_public_weights_that_were_forgotten_are_refused_in_one_sentence_which_plan_notes(
    tiny_home: Path, command: tuple[str, str]
):
    asked = (*command, *FULL, "--local", "--no-mlflow")
    refused(called(tiny_home, *asked), 2, "No self-supervised public weights are named", "--stand-in")
    planned = called(tiny_home, "plan", "table3", *FULL)
    assert "No self-supervised public weights are named" in " ".join(planned.output.split())
    stood_in = called(tiny_home, "plan", "table3", *FULL, "--stand-in")
    assert "public weights are named" not in stood_in.output
    assert "--dataset tiny --stand-in" in stood_in.output
