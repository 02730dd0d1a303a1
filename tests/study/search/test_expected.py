"""What a search is expected to take: trials at points drawn at random, as `plan` and `search` show them; budgets."""

import json
from pathlib import Path

import pytest

from study.core.graph import key
from study.search.expected import expected_trials
from tests.study.search.stub_search import SEARCH, Conditions
from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, copy_of, done, refused

LOCAL = ("--local", *HERE, "--no-mlflow")


def test_as_many_trials_are_drawn_as_the_search_will_have():
    space = SEARCH.bind(Conditions())
    trials = expected_trials(space, 7, seed=3)
    assert len({key(trial.stage) for trial in trials}) == len(trials) == 7
    assert [key(trial.stage) for trial in trials] == [key(trial.stage) for trial in expected_trials(space, 7, seed=3)]
    assert expected_trials(space, 0, seed=3) == []


@pytest.mark.usefixtures("tiny_scale")
def test_a_search_is_planned_without_being_begun(tiny_home: Path):
    before = sorted(path.name for path in tiny_home.iterdir())
    asked = ("plan", "distilled", *HERE[2:], "--trials", "3")
    shown = " ".join(done(called(tiny_home, *asked, "--device", "h100", "--energy")).output.split())
    assert "3 trials need" in shown
    assert "on 1 × h100" in shown
    assert "kWh" in shown
    assert "points drawn at random" in shown
    assert "search distilled --trials 3" in shown
    more, fewer = (
        json.loads(done(called(tiny_home, "plan", "distilled", *HERE[2:], "--trials", number, "--json")).output)
        for number in ("3", "1")
    )
    assert more["outlook"]["together"]["wall_seconds"] > fewer["outlook"]["together"]["wall_seconds"] > 0
    assert sorted(path.name for path in tiny_home.iterdir()) == before
    refused(called(tiny_home, *asked, "--row", "head"), 2, "distilled is a search: it has no --row and no --seeds")
    refused(called(tiny_home, "plan", "table3", *HERE[2:], "--trials", "3"), 2, "table3 is a study")


@pytest.mark.usefixtures("tiny_scale")
def test_a_search_says_what_it_is_expected_to_take_and_ends_when_its_budget_is_used_up(tiny_home: Path, tmp_path: Path):
    home = copy_of(tiny_home, tmp_path)
    asked = ("search", "distilled", *LOCAL, "--trials", "1", "--gpus-per-worker", "0")
    refused(called(home, *asked, "--budget", "1gpuh"), 2, "no stage gets a GPU here")
    ended = called(home, *asked, "--budget", "0.0001GB")
    assert ended.exit_code == 130, ended.output
    assert "wall time" in ended.output
    assert "stopped: --budget 0.0001GB does not hold the next stage" in ended.stderr
    assert "--budget 0.0001GB" in ended.stderr.rpartition("type: ")[2]
    done(called(home, *asked, "--budget", "1GB"))
