"""Every small file of a home, damaged in a hundred ways, is one sentence or is ignored."""

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.cli.search_planning import _driver_id
from study.core.graph import key
from study.core.manifest import COMPUTED, MANIFEST, PROGRESS, computed_seconds
from study.core.plan import make_plan
from study.core.progress import StageProgress, read_progress, write_progress
from study.core.store import Store
from study.core.study import standalone
from study.home.files import note_ignored
from study.home.request import Request, latest_command, latest_request, most_seeds, save_request, saved_problems
from study.home.runs import active_runs, register_run
from study.search.request import SearchRequest, latest_search, remember_search
from study.tracking.handed_over import HandedOver, take_over
from study.tracking.journal import JOURNAL, Journal
from study.tracking.leftovers import leftovers
from tests.damage import damaged
from tests.study.tiny_cli import called
from tests.study.tiny_home import copy_of, refused
from trainers.stage import MachineError, Stage, Work

REQUEST = Request(study="tiny", seeds=2, settings={"temperature": "0.1"}, rows=("head",))
OPENING = {"experiment": {"name": "e", "tags": {"a": "b"}}, "request": "r", "trial": "t", "name": "n", "parent": "p"}


@dataclass(frozen=True)
class Note(Stage):
    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 2.0


def one_sentence(error: MachineError, path: Path, remedy: str = "remove it and run the study again") -> None:
    assert str(error).startswith(str(path))
    assert remedy in str(error)
    assert "\n" not in str(error)


def test_a_manifest_is_read_whole_or_refused_with_what_to_do(tmp_path: Path):
    store = Store(tmp_path)
    with store.claim(key(Note())) as folder:
        (folder / "note.txt").write_text("hello")
        path = store.publish(Note(), folder, 1.5) / MANIFEST
    plan = standalone([Note()])
    num_refused = 0
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            store.check(key(Note()))
            assert make_plan(plan, store).expected_seconds == 0
        except MachineError as error:
            num_refused += 1
            one_sentence(error, path.parent, f"freelunch remove {key(Note())[:12]}")
    assert num_refused > 200


def test_a_report_of_a_stage_at_work_is_shown_or_ignored(tmp_path: Path):
    report = StageProgress(epoch=2, metrics={"loss_a": 1.0, "fraction": 0.5}, time=1e9, seconds=3.0, host="here")
    write_progress(tmp_path, report)
    whole = (tmp_path / PROGRESS).read_bytes()
    found = []
    for content in damaged(whole):
        (tmp_path / PROGRESS).write_bytes(content)
        found.append(read_progress(tmp_path))
    assert {type(each.metrics[name]) for each in found if each for name in each.metrics} == {float}
    assert None in found
    write_progress(tmp_path, report)
    assert read_progress(tmp_path) == report


def test_the_seconds_of_a_stage_that_has_run_are_a_number_or_unknown(tmp_path: Path):
    for content in damaged(b'{"seconds": 3.0}'):
        (tmp_path / COMPUTED).write_bytes(content)
        assert computed_seconds(tmp_path) in (None, -1, 0.5, 3.0)


def test_a_damaged_driver_is_nobody_and_is_removed_where_it_is_dead(tmp_path: Path):
    with register_run(tmp_path, "tiny", "freelunch run tiny") as driver:
        path = tmp_path / "drivers" / f"{driver.id}.json"
        for content in damaged(path.read_bytes()):
            path.write_bytes(content)  # still locked
            assert all(each.id == driver.id and isinstance(each.pid, int) for each in active_runs(tmp_path))
            dead = path.with_name("dead.json")
            dead.write_bytes(content)
            active_runs(tmp_path)
            assert not dead.exists()


def test_requests_are_read_whole_or_refused_and_what_is_only_remembered_is_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = save_request(REQUEST, tmp_path, {"key": "a sentence"}, "freelunch run tiny --seeds 2")
    latest, problems = tmp_path / "studies" / "tiny" / "request.json", folder / "problems.json"
    whole = latest.read_bytes()
    num_refused = 0
    for content in damaged(whole):
        latest.write_bytes(content)
        (folder / "request.json").write_bytes(content)
        try:
            assert 1 <= latest_request("tiny", tmp_path).seeds <= 1000
        except MachineError as error:
            num_refused += 1
            one_sentence(error, latest)
        assert 1 <= most_seeds(REQUEST, tmp_path) <= 1000
    assert num_refused > 50
    for content in damaged(b'{"key": "a sentence"}'):
        problems.write_bytes(content)
        found = saved_problems(REQUEST, tmp_path)
        assert all(isinstance(text, str) for text in (*found, *found.values()))
    note_ignored.cache_clear()
    caplog.clear()
    problems.write_bytes(b"")
    assert saved_problems(REQUEST, tmp_path) == saved_problems(REQUEST, tmp_path) == {}
    assert [record.getMessage() for record in caplog.records] == [f"{problems} is damaged and ignored."]


@pytest.mark.parametrize("content", [None, b"", b"\0" * 20, b"\xff\xfe", b"freelunch\nrm", b"something else"])
def test_the_command_of_a_run_is_made_again_where_it_is_damaged(tmp_path: Path, content: bytes | None):
    save_request(REQUEST, tmp_path, {}, "freelunch run tiny --local")
    path = tmp_path / "studies" / "tiny" / "command.txt"
    assert latest_command("tiny", tmp_path) == "freelunch run tiny --local"
    path.unlink() if content is None else path.write_bytes(content)
    assert latest_command("tiny", tmp_path) == REQUEST.command("run")


def test_the_request_of_a_search_is_read_whole_or_refused(tmp_path: Path):
    remember_search(SearchRequest(request=REQUEST, num_trials=3, hours=1.5, storage="sqlite:////a.db"), tmp_path)
    path = tmp_path / "studies" / "search-tiny" / "asking.json"
    num_refused = 0
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            latest_search("tiny", tmp_path).command()
        except MachineError as error:
            num_refused += 1
            one_sentence(error, path)
    assert num_refused > 100


def test_a_home_whose_name_among_others_is_damaged_gets_a_new_one(tmp_path: Path):
    first = _driver_id(tmp_path)
    assert _driver_id(tmp_path) == first
    for content in (b"", b"\xff" * 32, bytes(32), b"short"):
        (tmp_path / "searches" / "driver").write_bytes(content)
        assert len(_driver_id(tmp_path)) == 32


def entries() -> list[bytes]:
    """A line of every kind."""
    kinds = [
        {"kind": "opened", **OPENING},
        {"kind": "metrics", "step": 1, "values": {"loss": 1.0}},
        {"kind": "param", "name": "a", "value": "b"},
        {"kind": "dataset", **dict.fromkeys(("name", "digest", "context", "source", "profile"), "x")},
        {"kind": "artifact", "path": "a", "name": "a", "digest": "b"},
        {"kind": "status", "status": "FINISHED"},
    ]
    return [json.dumps({"time": 1, **entry}).encode() for entry in kinds]


@pytest.mark.parametrize("line", entries())
def test_what_a_journal_holds_is_what_mlflow_can_take(tmp_path: Path, line: bytes):
    contents = [content for content in damaged(line) if b"\n" not in content]
    (tmp_path / JOURNAL).write_bytes(b"".join(content + b"\n" for content in contents))
    journal = Journal.claim(tmp_path)
    assert journal is not None
    read = [entry for entry, _ in journal.unsent("uri")]
    assert 0 < len(read) < len(contents) / 2
    for entry in read:
        assert type(entry["time"]) is int
        assert abs(entry["time"]) < 2**63
        assert abs(entry.get("step", 0)) < 2**63
        assert all(isinstance(value, float | int) for value in entry.get("values", {}).values())
    journal.close()


def test_the_end_of_a_journal_and_what_is_handed_over_may_be_nonsense(tmp_path: Path):
    folder = tmp_path / "mlflow" / "spool" / "study" / "request" / "run"
    journal = Journal.claim(folder)
    assert journal is not None
    journal.open_run(OPENING)
    handed_over = HandedOver()
    handed_over.add(folder, {"loss": 1.0}, 1)
    handed_over.close()
    (path,) = folder.glob("points-*.jsonl")
    lines = [content for content in damaged(path.read_bytes()) if b"\n" not in content]
    path.write_bytes(b"\n".join(lines))
    take_over(journal)
    journal.mark_sent("uri", run=("id", False))
    journal.close()
    for content in damaged(b'{"kind": "status", "status": "FINISHED", "time": 1}'):
        with (folder / JOURNAL).open("ab") as file:
            file.write(content + b"\n")
        assert list(leftovers(tmp_path, "uri")) == [folder]


def test_a_damaged_file_of_a_finished_stage_is_one_sentence_of_the_commands_that_show_it(
    table3_home: Path, tiny_scale: None, tmp_path: Path
):
    home = copy_of(table3_home, tmp_path)
    histories = list(home.glob("artifacts/*/history.parquet"))
    for path in histories:
        path.write_bytes(bytes(len(path.read_bytes())))
    refused(called(home, "report", "table3"), 3, "history.parquet of ", "is damaged", "freelunch --home", " remove ")
    refused(called(home, "status", "table3"), 3, "history.parquet of ", "is damaged")
    log = histories[0].with_name("log.txt")
    log.write_bytes(b"\xff" + log.read_bytes())
    assert "python" in called(home, "logs", log.parent.name).output


def test_a_lock_that_is_held_beside_a_damaged_file_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "drivers" / "a.json"
    path.parent.mkdir()
    path.write_bytes(b"")
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert active_runs(tmp_path) == []
    assert f"{path} is damaged and ignored." in caplog.text
