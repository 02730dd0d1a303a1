"""Runs of some rows: every stage in one short pass, and reports that keep what earlier runs have finished."""

import json
from pathlib import Path

import pytest

from study.core.store import Store
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, LOCAL, copy_of

pytestmark = [pytest.mark.usefixtures("tiny_scale"), pytest.mark.slow]


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    return copy_of(tiny_home, tmp_path)


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


def test_a_check_that_fails_keeps_the_log_and_says_what_to_fix(home: Path):
    result = called(home, "run", "table3", *LOCAL, "--check", "--row", "head", "--set", "learning_rate=1e30")
    assert result.exit_code == 1
    assert "failed: the loss became" in result.output
    assert result.output.strip().splitlines()[-1].startswith("next: fix what failed, then run again: freelunch")
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
