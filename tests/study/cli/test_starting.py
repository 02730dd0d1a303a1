"""What is asked before a run or a search starts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces.protocol.scales import SCALES
from study.cli import starting
from study.cli.machine import planned_machine
from study.cli.planning import PlannedStudy
from study.cli.resources import ComputeTarget
from study.cli.starting import confirm_without_gpu
from study.core.devices import devices
from study.home.request import Request
from tests.study.tiny_cli import called
from tests.study.tiny_home import LOCAL, copy_of, done, refused

pytestmark = pytest.mark.usefixtures("tiny_scale", "no_pictures")

SMALL = ("--set", "batch_size=4", "--set", "queue_size=4", "--set", "batch_norm_splits=1")
FULL = ("--dataset", "tiny", *SMALL)
"""Scale `full` on so few frames."""
CORES, ONE_H100 = planned_machine(ComputeTarget(gpus_per_worker=0)), planned_machine(ComputeTarget(), "h100")


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


@pytest.mark.parametrize("command", [("run", "table3", "--row", "head"), ("search", "distilled")])
def test_scale_full_without_a_gpu_is_refused_where_there_is_no_terminal_to_ask_at(
    tiny_home: Path, command: tuple[str, ...]
):
    asked = (*command, *FULL, "--stand-in", "--local", "--no-mlflow", "--gpus-per-worker", "0")
    refused(called(tiny_home, *asked), 2, "scale full would be computed without a GPU, which takes about", "--yes")


@pytest.fixture
def planned(tiny_home: Path) -> PlannedStudy:
    settings = {"batch_size": "4", "queue_size": "4", "batch_norm_splits": "1"}
    return PlannedStudy(tiny_home, Request(study="table3", dataset="tiny", rows=("head",), settings=settings))


def test_at_a_terminal_the_answer_decides(planned: PlannedStudy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(starting.sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def answers(answer: bool) -> None:
        monkeypatch.setattr(starting.click, "confirm", lambda question: asked.append(question) or answer)

    answers(True)
    confirm_without_gpu(planned.scale, planned.plan, CORES, yes=False)
    answers(False)
    with pytest.raises(SystemExit, match="2"):
        confirm_without_gpu(planned.scale, planned.plan, CORES, yes=False)
    assert len(asked) == 2
    assert "Start all the same?" in asked[0]


def test_nothing_is_asked(planned: PlannedStudy):
    confirm_without_gpu(planned.scale, planned.plan, CORES, yes=True)
    confirm_without_gpu(planned.scale, planned.plan, ONE_H100, yes=False)
    confirm_without_gpu(SCALES["demo"], planned.plan, CORES, yes=False)


def test_rows_that_use_no_gpu_are_computed_without_a_question(planned: PlannedStudy):
    none = replace(planned.plan, missing=tuple(k for k, s in planned.plan.stages.items() if not s.uses_gpu))
    assert none.missing
    confirm_without_gpu(planned.scale, none, CORES, yes=False)


def test_run_prints_the_notes_that_plan_prints(tiny_home: Path, tmp_path: Path):
    asked = (*LOCAL, "--row", "majority", "--preset", "official_code")
    home = copy_of(tiny_home, tmp_path)
    noted = [" ".join(called(home, "plan", "table3", *asked[4:]).output.split())]
    noted.append(" ".join(done(called(home, "run", "table3", *asked)).output.split()))
    for output in noted:
        assert "stand-in" not in output  # the row needs none
        assert "they flatter every method" in output


def test_a_plan_is_made_for_the_machine_that_is_named(tiny_home: Path):
    asked = ("plan", "table3", *FULL, "--stand-in")
    here, there = (
        json.loads(done(called(tiny_home, *asked, *more, "--json")).output)
        for more in (("--gpus-per-worker", "0"), ("--device", "h100"))
    )
    assert here["machine"]["device"] == "cpu"
    assert there["machine"] == {
        "title": "1 × h100",
        "device": "h100",
        "gpus": 1,
        "cores": 16,
        "source": devices()["h100"].source,
    }
    assert here["outlook"]["together"]["gpu_hours"] == 0 < there["outlook"]["together"]["gpu_hours"]
    assert there["outlook"]["together"]["wall_seconds"] < here["outlook"]["together"]["wall_seconds"] / 100
    shown = done(called(tiny_home, *asked, "--device", "h100", "--energy")).output
    assert "on 1 × h100" in shown
    assert "kWh" in shown
    refused(called(tiny_home, *asked, "--device", "h10"), 2, "no device named 'h10'", "did you mean 'h100'?")
    two = ("--device", "h100", "--address", "10.0.0.1:6379")
    refused(called(tiny_home, *asked, *two), 2, "--device h100 and --address 10.0.0.1:6379 name two machines: give one")
