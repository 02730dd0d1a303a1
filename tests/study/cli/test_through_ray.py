"""A study through Ray, logged to MLflow, as a user runs it."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.study.cli.tune_recorder import RECORD
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, copy_of, done, start

pytestmark = [pytest.mark.usefixtures("tiny_scale"), pytest.mark.ray]

ROWS = ("head", "public", "untrained", "majority")


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    return copy_of(tiny_home, tmp_path)


def test_rows_of_table3_run_through_ray_and_are_in_mlflow_and_in_tune(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(RECORD, str(tmp_path / "record"))
    asked = ("run", "table3", *HERE, *(part for row in ROWS for part in ("--row", row)))
    process = start(home, *asked, "--callback", "tests.study.cli.tune_recorder:Recorder")
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, output + errors
    assert "backbone frozen, head trained" in output
    assert f"report: {home / 'studies' / 'table3'}" in output
    assert f"in MLflow: freelunch --home {home} ui" in output
    status = json.loads(called(home, "status", "--json").output)["table3"]
    assert {trial["state"] for trial in status["trials"]} == {"done"}
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(home) in " ".join(p.info["cmdline"] or [])]
    assert_tune_knows(home, [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()])
    assert "nothing to do" in done(called(home, *asked)).output


def assert_tune_knows(home: Path, reports: list[dict[str, Any]]) -> None:
    """Parameters, curves and the scores of the report have reached Ray Tune's callback."""
    (path,) = (home / "studies" / "table3").glob("*/results.json")
    rows = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    ends = {each["config"]["row"]: each for each in reports if each["result"]["done"]}
    assert ends
    for name, end in ends.items():
        assert end["result"]["status"] == "computed"
        known = rows[name]["protocols"]["strict"]["accuracy"]["mean"]
        assert end["result"]["test/strict/accuracy"] == pytest.approx(known)
    assert ends["head"]["config"]["teacher_trains"] == "head"
    for curve in ("pretrain/loss", "temporal/loss"):
        assert [each for each in reports if each["config"]["row"] == "head" and curve in each["result"]]
