"""A study through Ray, logged to MLflow, as a user runs it."""

import json
from pathlib import Path

import psutil
import pytest

from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, copy_of, start

pytestmark = [pytest.mark.usefixtures("tiny_scale"), pytest.mark.ray]


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    return copy_of(tiny_home, tmp_path)


def test_table3_runs_through_ray_and_is_in_mlflow(home: Path):
    process = start(home, "run", "table3", *HERE)
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, output + errors
    assert "backbone frozen, head trained" in output
    assert f"report: {home / 'studies' / 'table3'}" in output
    assert f"in MLflow: freelunch --home {home} ui" in output
    status = json.loads(called(home, "status", "--json").output)["table3"]
    assert {trial["state"] for trial in status["trials"]} == {"done"}
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(home) in " ".join(p.info["cmdline"] or [])]
    again = start(home, "run", "table3", *HERE)
    output, errors = again.communicate(timeout=200)
    assert "nothing to do" in output, output + errors
    assert again.returncode == 0
