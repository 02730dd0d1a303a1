"""Runs of some rows: every stage in one short pass, and reports that keep what earlier runs have finished."""

import json
import re
from pathlib import Path

import pytest

from study.cli import check
from study.cli.study_run import compute_study
from study.core import checked_speeds
from study.core.checked_speeds import read_speeds
from study.core.store import Store
from study.execution.events import Observer
from study.home import runs
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, LOCAL, copy_of
from trainers.runtime.machine import cpu_name
from trainers.stage import Stage

pytestmark = [pytest.mark.usefixtures("tiny_scale", "no_pictures"), pytest.mark.slow]


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


def test_what_a_check_has_measured_is_what_plans_expect(home: Path, monkeypatch: pytest.MonkeyPatch):
    options = ("--set", "student_epochs=5000", "--row", "head")

    def guessed() -> str:
        output = " ".join(called(home, "plan", "table3", *HERE[2:], *options, "--gpus-per-worker", "0").output.split())
        return "".join(re.findall(r"\((?:no )?([^(]*?) of this size was measured here yet", output))

    assert guessed() == "nothing"
    monkeypatch.setattr(checked_speeds, "LONG_SECONDS", 0.0)
    assert called(home, "run", "table3", *LOCAL, "--check", *options).exit_code == 0
    assert guessed() != "nothing"
    assert "Pretrain DistilledMoCo" not in guessed()
    (speed,) = (each for each in read_speeds(home) if each.kind == "Pretrain DistilledMoCo")
    assert speed.device == cpu_name()


def num_finished(output: str) -> int:
    """The number of finished stages that a plan begins with."""
    found = re.search(r"(\d+) of them are finished", output)
    assert found is not None
    return int(found[1])


class InterruptedAtPretraining(Observer):
    """An interrupt in the moment in which the first encoder is trained."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.command = ""

    def on_finished(self, stage: Stage, seconds: float) -> None:
        if stage.kind.startswith("Pretrain"):
            (driver,) = runs.active_runs(self._home)
            self.command = driver.command
            raise KeyboardInterrupt


def test_an_interrupted_check_loses_nothing_and_the_same_check_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch):
    asked = ("run", "table3", *LOCAL, "--check", "--row", "public")
    before = {manifest.key for manifest in Store(home).manifests()}
    observer = InterruptedAtPretraining(home)
    with monkeypatch.context() as patch:
        patch.setattr(check, "compute_study", lambda *given: compute_study(*given, observer))
        result = called(home, *asked)
    assert result.exit_code == 130
    assert (
        "interrupted; what is finished is kept, what the check alone needs until it has ended. To go on"
        in result.stderr
    )
    assert result.stderr.strip().endswith("--row public --check")
    assert observer.command.endswith("--row public --check")
    kept = {manifest.key for manifest in Store(home).manifests()}
    assert before < kept
    again = called(home, *asked)
    assert again.exit_code == 0, again.output
    assert num_finished(again.output) == num_finished(result.output) + len(kept - before)
    plan = json.loads(called(home, "plan", "table3", *HERE[2:], "--row", "public", "--json").output)
    assert plan["cached"] == len(list(Store(home).manifests())) < plan["stages"]
    assert not list((home / "checks").iterdir())


def test_a_check_that_fails_keeps_the_log_and_says_what_to_fix(home: Path):
    result = called(home, "run", "table3", *LOCAL, "--check", "--row", "head", "--set", "learning_rate=1e9")
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
