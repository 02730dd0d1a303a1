import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from study.tracking.journal import JOURNAL, SENT, Journal, Sent, UnreachableError, spool_folder
from study.tracking.leftovers import leftovers
from study.tracking.sender import Sender

URI = "http://somewhere"


@pytest.fixture
def claim() -> Iterator[Callable[[Path], Journal]]:
    """Claims journals, which are closed in the end."""
    with ExitStack() as stack:

        def claimed(folder: Path) -> Journal:
            journal = Journal.claim(folder)
            assert journal is not None
            stack.callback(journal.close)
            return journal

        yield claimed


def lines(folder: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in (folder / JOURNAL).read_text().splitlines()]


def test_what_was_said_is_not_said_again_not_even_by_the_next_process(claim: Callable[[Path], Journal], tmp_path: Path):
    for _ in range(2):
        journal = claim(tmp_path)
        journal.log_metrics({"loss": 2.0}, 1)
        journal.log_metrics({"loss": 2.5, "accuracy": 0.5}, 1)
        journal.log_params({"seed": 0})
        journal.set_tags({"row": "head"})
        journal.set_status("RUNNING")
        journal.close()
    assert lines(tmp_path) == ["metrics", "metrics", "param", "tag", "status"]
    said = [entry.get("values") for entry, _ in claim(tmp_path).unsent(URI)]
    assert said[:2] == [{"loss": 2.0}, {"accuracy": 0.5}]


def test_a_file_is_said_again_only_when_its_content_changes(claim: Callable[[Path], Journal], tmp_path: Path):
    journal, file = claim(tmp_path / "run"), tmp_path / "report.html"
    for text in ("old", "old", "new"):
        file.write_text(text)
        journal.log_artifact(file)
    assert lines(tmp_path / "run") == ["artifact", "artifact"]


def test_half_a_line_of_a_killed_process_is_dropped(claim: Callable[[Path], Journal], tmp_path: Path):
    journal = claim(tmp_path)
    journal.set_tags({"row": "head"})
    journal.close()
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"kind": "metr')
    journal = claim(tmp_path)
    journal.set_status("RUNNING")
    assert lines(tmp_path) == ["tag", "status"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\0\0\0\0",
        b'{"kind": "metr',
        b"[]",
        b"{}",
        b'{"kind": []}',
        b'{"kind": "metrics", "time": 1}',
        b"\xff",
        b'{"kind": "metrics", "time": 1, "step": "x", "values": {}}',
        b'{"kind": "metrics", "time": 1, "step": 1, "values": {"loss": "low"}}',
        b'{"kind": "status", "time": 1, "status": 7}',
        b'{"kind": "tag", "time": [], "name": "a", "value": "b"}',
    ],
)
def test_lines_of_nonsense_are_skipped_wherever_they_stand(
    claim: Callable[[Path], Journal], tmp_path: Path, nonsense: bytes
):
    journal = claim(tmp_path)
    journal.set_tags({"row": "head"})
    journal.set_status("RUNNING")
    journal.close()
    first, second = (tmp_path / JOURNAL).read_bytes().splitlines()
    (tmp_path / JOURNAL).write_bytes(b"\n".join([nonsense, first, nonsense, second, nonsense, b""]))
    journal = claim(tmp_path)
    assert (journal.tag("row"), journal.status) == ("head", "RUNNING")
    journal.log_params({"seed": 0})
    assert [entry["kind"] for entry, _ in journal.unsent(URI)] == ["tag", "status", "param"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "\0\0",
        '{"http://somewhere": 7}',
        '{"http://somewhere": {"offset": "7"}}',
        '{"http://somewhere": {"offset": 0, "run_id": 7}}',
        '{"1": {}}',
    ],
)
def test_what_was_sent_is_sent_again_where_its_record_is_damaged(
    claim: Callable[[Path], Journal], tmp_path: Path, content: str
):
    folder = spool_folder(tmp_path) / "study" / "request" / "run"
    journal = claim(folder)
    journal.set_tags({"row": "head"})
    journal.mark_sent(URI, offset=journal.end(), run=("7", False))
    journal.close()
    (folder / SENT).write_text(content)
    assert list(leftovers(tmp_path, URI)) == []
    journal = claim(folder)
    assert journal.sent(URI) == Sent()
    assert journal.num_unsent(URI) == 1


def test_a_journal_that_lost_what_was_sent_of_it_is_sent_again(claim: Callable[[Path], Journal], tmp_path: Path):
    journal = claim(tmp_path)
    journal.set_tags({"row": "head"})
    journal.set_tags({"seed": "0"})
    journal.mark_sent(URI, offset=journal.end(), run=("7", False))
    journal.close()
    for length in (len((tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)[0]), 3):
        (tmp_path / JOURNAL).write_bytes((tmp_path / JOURNAL).read_bytes()[:length])
        journal = claim(tmp_path)
        assert journal.sent(URI) == Sent()
        journal.close()


def test_the_record_of_an_earlier_version_is_understood(claim: Callable[[Path], Journal], tmp_path: Path):
    journal = claim(tmp_path)
    journal.set_tags({"row": "head"})
    journal.close()
    sent = {"run_id": "7", "offset": journal.end(), "adopted": True, "note": "of another version"}
    (tmp_path / SENT).write_text(json.dumps({URI: sent}))
    journal = claim(tmp_path)
    assert journal.sent(URI) == Sent(run_id="7", offset=journal.end(), adopted=True)
    assert journal.num_unsent(URI) == 0


def test_one_process_at_a_time_holds_a_journal(claim: Callable[[Path], Journal], tmp_path: Path):
    first = claim(tmp_path)
    assert Journal.claim(tmp_path) is None
    first.close()
    assert claim(tmp_path)


def test_each_tracking_uri_has_its_own_share(claim: Callable[[Path], Journal], tmp_path: Path):
    journal = claim(tmp_path)
    journal.set_tags({"row": "head"})
    [(_, offset)] = journal.unsent(URI)
    journal.mark_sent(URI, offset=offset)
    journal.set_tags({"seed": "0"})
    assert [entry["name"] for entry, _ in journal.unsent(URI)] == ["seed"]
    assert journal.num_unsent("http://elsewhere") == 2


def test_a_journal_is_left_over_until_it_is_sent_and_its_run_has_ended(
    claim: Callable[[Path], Journal], tmp_path: Path
):
    folder = spool_folder(tmp_path) / "study" / "request" / "run"
    journal = claim(folder)
    journal.set_status("RUNNING")
    journal.mark_sent(URI, offset=journal.end())
    assert list(leftovers(tmp_path, URI)) == [folder]
    journal.set_status("FINISHED")
    assert list(leftovers(tmp_path, URI)) == [folder]
    journal.mark_sent(URI, offset=journal.end())
    assert not list(leftovers(tmp_path, URI))
    assert not list(leftovers(tmp_path, "http://elsewhere"))


def test_the_sender_tries_again_until_everything_is_sent(
    claim: Callable[[Path], Journal],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr("study.tracking.sender.SEND_EVERY_SECONDS", 0.01)
    attempts: list[Journal] = []

    def send(journal: Journal) -> None:
        attempts.append(journal)
        if len(attempts) < 3:
            raise UnreachableError("it is away")

    sender = Sender(send)
    sender.submit(claim(tmp_path))
    assert sender.finish(60)
    sender.stop()
    assert len(attempts) == 3
    assert [sentence.partition(";")[0] for sentence in caplog.messages] == [
        "it is away",
        "MLflow answers again and gets what it has missed.",
    ]


def test_the_sender_gives_up_when_nothing_can_be_sent_for_so_long(claim: Callable[[Path], Journal], tmp_path: Path):
    def send(journal: Journal) -> None:
        raise UnreachableError("it is away")

    sender = Sender(send)
    sender.submit(claim(tmp_path))
    assert not sender.finish(0.1)
    sender.stop()
    assert sender.fault == "it is away"


def test_what_is_said_while_a_journal_is_sent_is_sent_too(claim: Callable[[Path], Journal], tmp_path: Path):
    sending, said_more = threading.Event(), threading.Event()
    journal = claim(tmp_path)
    sent: list[int] = []

    def send(journal: Journal) -> None:
        end = journal.end()
        sending.set()
        assert said_more.wait(60)
        sent.append(end)

    sender = Sender(send)
    journal.set_tags({"row": "head"})
    sender.submit(journal)
    assert sending.wait(60)
    journal.set_tags({"seed": "0"})
    sender.submit(journal)
    said_more.set()
    assert sender.finish(60)
    sender.stop()
    assert sent[-1] == journal.end()


def test_a_leftover_whose_files_cannot_be_read_does_not_end_the_sender(
    claim: Callable[[Path], Journal], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    sent: list[Journal] = []

    def fail() -> None:
        raise OSError("No space left on device")

    sender = Sender(sent.append)
    sender.submit_once(fail)
    sender.finish(60)
    journal = claim(tmp_path)
    sender.submit(journal)
    assert sender.finish(60)
    sender.stop()
    assert sent == [journal]
    assert caplog.messages == [
        "No space left on device; what an earlier command kept for MLflow stays for a later one."
    ]
