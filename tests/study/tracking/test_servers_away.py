import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import mlflow.store.db.utils
import pytest

from study.tracking.connection import Outage
from study.tracking.journal import Journal, UnreachableError, spool_folder
from study.tracking.leftovers import leftovers, send_leftovers
from study.tracking.mlflow_client import Destination
from study.tracking.uri import default_uri
from tests.shared import free_port
from tests.study.tracking.conftest import Server
from tests.study.tracking.tracked import (
    PATIENCE_SECONDS,
    compute,
    follow,
    forget_what_was_sent,
    points,
    runs_of,
    statuses,
    tracker,
    trials_of,
    until,
)
from trainers.stage import InputError, MachineError


@pytest.fixture
def silent_uri() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_never_answers_a_request_is_refused_at_the_start(
    tmp_path: Path, silent_uri: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with pytest.raises(MachineError, match=r"does not answer \(no answer in time\)"):
        tracker(tmp_path, trials_of("head"), uri=silent_uri).__enter__()


def test_a_call_that_has_no_limit_itself_is_left_behind(
    tmp_path: Path, silent_uri: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    monkeypatch.setattr("study.tracking.mlflow_client._limit_seconds", lambda: 0.5)
    with pytest.raises(MachineError, match=r"does not answer \(no answer in time\)"):
        tracker(tmp_path, trials_of("head"), uri=silent_uri).__enter__()


def test_a_study_beside_a_server_that_stops_answering_ends_and_its_entries_are_sent_later(
    home: Path, silent_uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("study.tracking.tracker.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("study.tracking.sender.STOP_SECONDS_IN_VAIN", 0.1)
    follow(home, trials_of("public"))
    never, send = threading.Event(), Destination.send

    def hang(self: Destination, journal: Journal) -> None:
        assert not never.wait(PATIENCE_SECONDS)

    with monkeypatch.context() as patch:
        patch.setattr(Destination, "send", hang)
        follow(home, trials_of("head"))
    assert "MLflow is slow" in caplog.messages[-1]
    assert "entries are kept in" in caplog.messages[-1]
    assert Destination.send is send
    send_leftovers(home)
    assert set(statuses(home).values()) == {"FINISHED"}
    assert set(points(home, runs_of(home)["head, seed 0"]).values()) == {1}


def test_a_call_that_was_left_behind_notes_nothing_in_a_journal_that_was_released(tmp_path: Path):
    journal = Journal.claim(spool_folder(tmp_path) / "tiny" / "request" / "study")
    assert journal is not None
    journal.mark_sent("sqlite:///of/another/machine.db")
    journal.close()
    with pytest.raises(UnreachableError):
        journal.mark_sent("sqlite:///of/another/machine.db", offset=100)


def test_the_trackers_of_a_suite_wait_once_for_an_mlflow_that_is_away(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("study.tracking.tracker.INTERRUPTED_PATIENCE_SECONDS", 0.2)
    follow(home, trials_of("public", "constant"))
    waited_for = []

    def refused(self: Destination, home: Path, uri: str) -> None:
        if threading.current_thread() is threading.main_thread():
            waited_for.append(uri)
        raise MachineError("MLflow is away.")

    monkeypatch.setattr(Destination, "__init__", refused)
    outage = Outage()
    with (
        tracker(home, trials_of("public"), is_alone=False, outage=outage),
        tracker(home, trials_of("constant"), is_alone=False, outage=outage),
    ):
        pass
    assert len(waited_for) == 1
    assert outage.is_given_up
    assert [message for message in caplog.messages if "The study goes on" in message] == [
        "MLflow is away. The study goes on, and what MLflow misses is kept and sent later."
    ]


def test_a_database_that_goes_after_it_was_looked_at_is_given_up_soon(home: Path, monkeypatch: pytest.MonkeyPatch):
    attempts, create = [], mlflow.store.db.utils.create_sqlalchemy_engine

    def counted(uri: str) -> object:
        attempts.append(uri)
        return create(uri)

    def replaced(home: Path, uri: str, before_creation: object) -> None:
        (home / "mlflow.db").unlink()
        (home / "mlflow.db").mkdir()

    monkeypatch.setattr("mlflow.store.db.utils.create_sqlalchemy_engine", counted)
    monkeypatch.setattr("study.tracking.mlflow_client.prepare_database", replaced)
    with pytest.raises(MachineError, match=r"does not answer \(.*unable to open database file"):
        Destination(home, default_uri(home))
    assert 1 <= len(attempts) <= 2


def test_a_database_that_cannot_be_written_to_is_refused_in_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)  # where MLflow makes folders named as the URI
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
def test_a_server_that_is_killed_and_back_later_misses_nothing(
    home: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
):
    follow(home, trials_of("public"), uri=server.uri)
    assert "View run" not in capsys.readouterr().out  # MLflow's own lines would come between ours
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

    server.kill()
    monkeypatch.setattr("study.tracking.tracker.PATIENCE_SECONDS", 0.5)
    follow(home, trials_of("constant"), uri=server.uri)
    assert "entries are kept in" in caplog.messages[-1]
    server.start()
    send_leftovers(home, server.uri)
    assert set(statuses(home, server.uri).values()) == {"FINISHED"}
    assert set(points(home, runs_of(home, server.uri)["constant, seed 0"], server.uri).values()) == {1}
