import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from study.core.graph import key
from study.tracking.journal import Journal, UnreachableError
from study.tracking.leftovers import send_leftovers
from study.tracking.mlflow_client import Destination
from tests.study.tracking.tracked import (
    PATIENCE_SECONDS,
    REQUEST,
    compute,
    follow,
    forget_what_was_sent,
    left_running,
    points,
    runs_of,
    statuses,
    tracker,
    trials_of,
    until,
)

KILLED_SCRIPT = """
import sys, time
from pathlib import Path
from tests.study.tracking.tracked import tracker, trials_of
with tracker(Path(sys.argv[1]), trials_of("head", "none")):
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


def test_what_was_sent_but_not_remembered_is_not_there_twice(home: Path):
    follow(home, trials_of("head"))
    forget_what_was_sent(home)
    send_leftovers(home)
    assert set(points(home, runs_of(home)["head, seed 0"]).values()) == {1}


@pytest.mark.kills
def test_the_runs_of_a_killed_driver_end_with_the_next_command(home: Path):
    ready = home / "ready"
    process = subprocess.Popen([sys.executable, "-c", KILLED_SCRIPT, home, ready])
    until(lambda: ready.exists() and "none, seed 0" in statuses(home), "the driver does not begin")
    process.kill()
    process.wait()
    assert statuses(home)["head, seed 0"] == "RUNNING"
    follow(home, trials_of("head"))
    assert statuses(home) == {
        "tiny demo corrected": "FINISHED",
        "head, seed 0": "FINISHED",
        "none, seed 0": "KILLED",
    }


def test_a_killed_trial_that_begins_again_later_is_logged_by_the_driver_that_ended_its_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    left_running(home, "none")
    sending, begun, send = threading.Event(), threading.Event(), Destination.send

    def held_up(self: Destination, journal: Journal) -> None:
        if journal.folder.name == key(none.stage) and not begun.is_set():
            sending.set()
            assert begun.wait(PATIENCE_SECONDS)
        send(self, journal)

    monkeypatch.setattr(Destination, "send", held_up)
    [none] = trials_of("none")
    with tracker(home, trials_of("public")) as observer:
        assert sending.wait(PATIENCE_SECONDS)
        observer._trials[key(none.stage)] = none  # as a search learns of its trials
        observer._open_trial(key(none.stage))
        begun.set()
        compute(home, (none,), observer)
        assert observer._sender.finish(PATIENCE_SECONDS)
        assert statuses(home)["none, seed 0"] == "FINISHED"


def test_what_a_killed_driver_left_is_another_commands_again_once_it_was_sent(
    home: Path, caplog: pytest.LogCaptureFixture
):
    settings = {"error": "0.3"}
    left_running(home, "head", settings=settings)
    with tracker(home, trials_of("public")) as other:
        assert other._sender.finish(PATIENCE_SECONDS)
        request, trials = replace(REQUEST, settings=settings), trials_of("head", **settings)
        with tracker(home, trials, request=request) as observer:
            compute(home, trials, observer)
        assert statuses(home)["head, seed 0"] == "FINISHED"
        assert not caplog.messages


def test_what_a_killed_driver_left_is_given_back_after_an_attempt_that_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    left_running(home, "none")
    [none] = trials_of("none")
    send = Destination.send

    def refused(self: Destination, journal: Journal) -> None:
        if journal.folder.name == key(none.stage):
            raise UnreachableError("MLflow is full")
        send(self, journal)

    monkeypatch.setattr(Destination, "send", refused)
    with tracker(home, trials_of("public")) as observer:
        assert observer._sender.finish(PATIENCE_SECONDS)
        journal = Journal.claim(observer._folder(key(none.stage)))
        assert journal is not None
        journal.close()
    assert caplog.messages == ["MLflow is full; what an earlier command kept for MLflow stays for a later one."]


def test_a_tracker_beside_others_leaves_what_they_may_open_next(home: Path):
    left_running(home, "none")
    with tracker(home, trials_of("public"), is_alone=False) as observer:
        assert observer._sender.finish(PATIENCE_SECONDS)
    assert statuses(home)["none, seed 0"] == "RUNNING"
