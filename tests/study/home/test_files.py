import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from study.home.files import (
    is_locked,
    locked,
    read_json,
    remove_parts,
    replacing,
    try_lock,
    wait_for_lock,
    write_json,
    write_text,
)
from trainers.stage import MachineError

HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "a") as file:
    fcntl.flock(file.fileno(), fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(600)
"""


def hold(path: Path) -> "subprocess.Popen[str]":
    """Another process that holds a lock as versions without `study.home.files` do."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_block_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "note.json"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [False, True])
def test_json_comes_back_as_it_was_written(tmp_path: Path, durable: bool):
    write_json(tmp_path / "note.json", {"video": "Größe"}, durable=durable)
    assert read_json(tmp_path / "note.json") == {"video": "Größe"}
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b"\0\0\0\0", b'{"half": ', b"\xff"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes):
    (tmp_path / "note.json").write_bytes(content)
    with pytest.raises(MachineError, match=r"note\.json is damaged: remove it"):
        read_json(tmp_path / "note.json")


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path):
    for name in ("note.json", "note.json.0f.part", "other.json.0f.part"):
        (tmp_path / name).touch()
    remove_parts(tmp_path / "note.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note.json", "other.json.0f.part"]


def test_a_lock_excludes_other_versions_and_ends_with_a_killed_process(tmp_path: Path):
    path = tmp_path / "lock"
    process = hold(path)
    with path.open("a") as file:
        assert not try_lock(file)
        assert is_locked(path)
        process.kill()
        process.communicate()
        wait_for_lock(file)
        assert is_locked(path)
    assert not is_locked(path)


def test_whoever_waits_for_a_lock_says_so_and_gets_it(tmp_path: Path):
    path, waits, has_it = tmp_path / "lock", threading.Event(), threading.Event()

    def wait() -> None:
        with path.open("a") as file:
            wait_for_lock(file, waits.set)
            has_it.set()

    with locked(path):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(60)
        assert not has_it.is_set()
    assert has_it.wait(60)
    thread.join()


def test_asking_for_a_lock_makes_no_file(tmp_path: Path):
    assert not is_locked(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_processes_that_ask_for_a_lock_at_once_do_not_take_each_other_for_its_holder(tmp_path: Path):
    with (tmp_path / "lock").open("a+") as asking:
        fcntl.flock(asking.fileno(), fcntl.LOCK_SH)
        assert not is_locked(tmp_path / "lock")


def test_a_file_system_without_locks_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "lock").open("a") as file, pytest.raises(MachineError, match="has no locks"):
        try_lock(file)
