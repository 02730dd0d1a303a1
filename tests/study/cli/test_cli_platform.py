"""The commands that need more than one process: through Ray, with MLflow, stopped from elsewhere, checked first."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from search_spaces.protocol.scales import SCALES
from study.cli import main
from study.core.store import Store
from tests.study.tiny_cli import TINY, make_tiny_videos

HERE = ("--threads", "1", "--scale", "tiny", "--dataset", "tiny")
LOCAL = ("--local", "--no-mlflow", *HERE)
PROGRAM = Path(__file__).parents[1] / "tiny_cli.py"


@pytest.fixture(autouse=True)
def _tiny_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCALES, "tiny", TINY)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that knows a dataset called tiny and has computed nothing but its videos."""
    home = tmp_path_factory.mktemp("registered")
    make_tiny_videos(home / "videos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "tiny", TINY)
        ingest = called(home, "ingest", "cholec80", str(home / "videos"), "--name", "tiny", "--scale", "tiny")
    assert ingest.exit_code == 0, ingest.output
    return home


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(registered, tmp_path / "home"))


def called(home: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(main, ["--home", str(home), *arguments], prog_name="freelunch")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), "--home", str(home), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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


def test_a_running_study_is_seen_and_stopped_from_another_terminal(home: Path):
    process = start(home, "run", "table3", *LOCAL, "--row", "head", "--set", "student_epochs=500")
    deadline = time.monotonic() + 100
    while not list(home.glob("unfinished/*/checkpoint.pt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    status = called(home, "status", "table3")
    assert f"as process {process.pid} on" in status.output
    assert "next:" not in status.output
    assert json.loads(called(home, "status", "--json").output)["table3"]["drivers"][0]["pid"] == process.pid
    stopped = called(home, "stop", "table3")
    assert stopped.exit_code == 0
    assert f"stopped process {process.pid}" in stopped.output
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "interrupted; nothing is lost" in errors
    assert stopped.output.strip().splitlines()[-1].startswith("next: freelunch --home")
    assert "next: freelunch" in called(home, "status", "table3").output


def test_a_check_takes_every_stage_through_a_short_pass_and_keeps_only_what_the_study_needs(home: Path):
    options = ("--set", "student_epochs=500", "--row", "head", "--row", "majority")
    result = called(home, "run", "table3", *LOCAL, "--check", *options)
    assert result.exit_code == 0, result.output
    assert "Pretrain DistilledMoCo" in result.output
    assert "each in one short pass" in result.output
    assert result.output.strip().splitlines()[-1].endswith("--row head --row majority")
    plan = json.loads(called(home, "plan", "table3", *HERE[2:], *options, "--json").output)
    assert 0 < plan["cached"] == len(list(Store(home).manifests())) < plan["stages"]
    assert "has not been run" in called(home, "status", "table3").stderr


def test_a_check_that_fails_keeps_the_log_and_says_what_to_mend(home: Path):
    result = called(home, "run", "table3", *LOCAL, "--check", "--row", "head", "--set", "learning_rate=1e30")
    assert result.exit_code == 1
    assert "failed: the loss became" in result.output
    assert result.output.strip().splitlines()[-1].startswith("next: mend what failed, then type again: freelunch")
    (student,) = (path for path in home.glob("unfinished/*/log.txt") if "loss became" in path.read_text())
    assert "the loss became" in called(home, "logs", student.parent.name[:8]).output


def test_asking_for_fewer_rows_or_seeds_keeps_the_others_in_the_report(home: Path):
    rows = ("--row", "majority", "--row", "untrained")
    assert called(home, "run", "table3", *LOCAL, *rows, "--seeds", "2").exit_code == 0
    assert called(home, "run", "table3", *LOCAL, "--row", "untrained").exit_code == 0
    (folder,) = (home / "studies" / "table3").glob("*/")
    shown = json.loads((folder / "results.json").read_text())["rows"]
    assert [row["name"] for row in shown] == ["untrained", "majority"]
    assert "untrained, seed 1" in (folder / "report.md").read_text()
