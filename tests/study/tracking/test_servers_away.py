from pathlib import Path

import pytest

from study.tracking.leftovers import leftovers, send_leftovers
from tests.study.tracking.conftest import Server
from tests.study.tracking.tracked import (
    compute,
    follow,
    forget_what_was_sent,
    free_port,
    points,
    runs_of,
    statuses,
    tracker,
    trials_of,
    until,
)
from trainers.stage import InputError, MachineError


def test_a_database_that_cannot_be_written_to_is_refused_in_a_sentence(home: Path):
    uri = f"sqlite:///file:{home / 'mlflow.db'}?mode=ro&uri=true"
    with pytest.raises(MachineError, match=r"cannot be written to \(.*readonly database\): start it, or correct"):
        tracker(home, trials_of("head"), uri=uri).__enter__()


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "/tmp/mlruns", "mlruns"])
def test_a_folder_is_refused_as_tracking_uri(tmp_path: Path, uri: str):
    with pytest.raises(InputError, match=f"MLFLOW_TRACKING_URI is {uri}"):
        tracker(tmp_path, trials_of("head"), uri=uri)


def test_a_server_that_never_answered_is_refused_at_the_start(tmp_path: Path):
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(MachineError, match=r"does not answer \(connection refused\)"):
        tracker(tmp_path, trials_of("head"), uri=uri).__enter__()


@pytest.mark.mlflow_server
def test_a_server_killed_in_the_middle_and_back_later_misses_nothing(
    home: Path, server: Server, caplog: pytest.LogCaptureFixture
):
    follow(home, trials_of("public"), uri=server.uri)
    trials = trials_of("head", "public")
    with tracker(home, trials, uri=server.uri) as observer:
        server.kill()
        compute(home, trials, observer)
        until(lambda: "the study goes on" in caplog.text, "no attempt has failed")
        server.start()
    assert not list(leftovers(home, server.uri))
    assert "answers again" in caplog.text
    assert set(statuses(home, server.uri).values()) == {"FINISHED"}
    counts = points(home, runs_of(home, server.uri)["head, seed 0"], server.uri)
    assert set(counts.values()) == {1}
    assert {step for metric, step in counts if metric == "pretrain/knn_accuracy"} == set(range(1, 11))
    forget_what_was_sent(home)
    send_leftovers(home, server.uri)
    assert points(home, runs_of(home, server.uri)["head, seed 0"], server.uri) == counts


@pytest.mark.mlflow_server
def test_what_a_server_missed_is_kept_and_sent_by_a_later_command(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("study.tracking.tracker.PATIENCE_SECONDS", 0.5)
    follow(home, trials_of("public"), uri=server.uri)
    server.kill()
    follow(home, trials_of("head"), uri=server.uri)
    assert "entries are kept in" in caplog.messages[-1]
    server.start()
    send_leftovers(home, server.uri)
    assert set(statuses(home, server.uri).values()) == {"FINISHED"}
    assert set(points(home, runs_of(home, server.uri)["head, seed 0"], server.uri).values()) == {1}
