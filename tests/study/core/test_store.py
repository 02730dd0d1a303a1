import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.core.disk import translate_disk_errors
from study.core.graph import key
from study.core.manifest import COMPUTED, MANIFEST, computed_seconds
from study.core.store import Store
from trainers.stage import InputError, MachineError, Stage, Work


@dataclass(frozen=True)
class Note(Stage):
    text: str = "hello"

    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 2.0


NOTE = Note()
KEY = key(NOTE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def fill(store: Store, stage: Note = NOTE) -> Path:
    with store.claim(key(stage)) as folder:
        (folder / "note.txt").write_text(stage.text)
        (folder / "deeper").mkdir()
        (folder / "deeper" / "large.bin").write_bytes(bytes(1000))
        return store.publish(stage, folder, 1.5)


def in_another_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Runs code that finds this module as `notes`, and the arguments in `sys.argv`."""
    start = (
        "import importlib.util, sys; sys.path.insert(0, sys.argv[1]);"
        "spec = importlib.util.spec_from_file_location('notes', sys.argv[2]);"
        "notes = importlib.util.module_from_spec(spec); sys.modules['notes'] = notes; spec.loader.exec_module(notes)\n"
    )
    command = [sys.executable, "-c", start + code, str(Path.cwd()), __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


def test_a_published_stage_is_found_whole_with_its_manifest(store: Store):
    assert store.find(KEY) is None
    folder = fill(store)
    assert store.find(KEY) == folder == store.check(KEY, whole=True)
    assert (folder / "note.txt").read_text() == "hello"
    manifest = store.manifest(KEY)
    assert (manifest.key, manifest.stage, manifest.seconds, manifest.expected_seconds) == (KEY, "Note", 1.5, 2.0)
    assert set(manifest.files) == {"note.txt", "deeper/large.bin"}
    assert manifest.config["text"] == "hello"
    assert store.unfinished(KEY) is None
    assert store.stage_keys() == [KEY]


@pytest.mark.parametrize("moment", ["filling", "publishing"])
def test_a_killed_process_leaves_nothing_visible_and_its_folder(store: Store, moment: str):
    code = """
store = notes.Store(notes.Path(sys.argv[3]))
with store.claim(notes.KEY) as folder:
    (folder / "note.txt").write_text("half")
    def stop(*_):
        print("ready", flush=True)
        __import__("time").sleep(600)
    if sys.argv[4] == "filling":
        stop()
    import study.core.store
    study.core.store.manifest_of = stop
    store.publish(notes.NOTE, folder, 1.0)
"""
    process = in_another_process(code, store.home, moment)
    said(process, "ready")
    assert store.is_claimed(KEY)
    process.kill()
    process.communicate()
    assert store.find(KEY) is None
    assert not store.is_claimed(KEY)
    folder = store.unfinished(KEY)
    assert folder is not None
    assert (folder / "note.txt").read_text() == "half"
    assert computed_seconds(folder) == (1.0 if moment == "publishing" else None)

    with store.claim(KEY) as same:
        assert same == folder
        store.publish(NOTE, same, 1.0)
    assert set(store.manifest(KEY).files) == {"note.txt"}


def test_the_last_step_of_publishing_makes_the_stage_visible(store: Store, monkeypatch: pytest.MonkeyPatch):
    rename = Path.rename

    def watched(path: Path, target: Path) -> Path:
        if path.name == KEY:
            assert (path / MANIFEST).exists()
            assert not (path / COMPUTED).exists()
        assert store.find(KEY) is None
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    assert store.find(KEY) or fill(store) == store.find(KEY)


def damage_content(folder: Path) -> None:
    (folder / "note.txt").write_text("hullo")


def damage_size(folder: Path) -> None:
    (folder / "note.txt").write_text("hello, world")


def lose_file(folder: Path) -> None:
    (folder / "deeper" / "large.bin").unlink()


@pytest.mark.parametrize(
    ("damage", "file", "says"),
    [
        (damage_content, "note.txt", "is damaged (its content changed)"),
        (damage_size, "note.txt", "is damaged (12 bytes instead of 5)"),
        (lose_file, "deeper/large.bin", "is missing"),
    ],
)
def test_damage_is_one_sentence_that_says_what_to_do(
    store: Store, damage: Callable[[Path], None], file: str, says: str
):
    folder = fill(store)
    damage(folder)
    with pytest.raises(MachineError) as refused:
        store.check(KEY)
    sentence = str(refused.value)
    assert sentence.startswith(f"{folder / file} of Note {says}")
    assert f"freelunch remove {KEY[:12]}" in sentence
    assert "\n" not in sentence


def test_large_files_are_compared_by_content_only_when_all_are(store: Store, monkeypatch: pytest.MonkeyPatch):
    folder = fill(store)
    monkeypatch.setattr("study.core.store.CONTENT_CHECK_BYTES", 100)
    (folder / "deeper" / "large.bin").write_bytes(bytes(999) + b"x")
    store.check(KEY)
    with pytest.raises(MachineError, match=r"large\.bin of Note is damaged \(its content changed\)"):
        store.check(KEY, whole=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": 1}'])
def test_a_damaged_manifest_is_one_sentence_and_others_are_still_read(store: Store, content: str):
    other = Note("other")
    fill(store, other)
    (fill(store) / MANIFEST).write_text(content)
    with pytest.raises(MachineError, match=rf"{MANIFEST} is damaged: remove it with `freelunch remove {KEY[:12]}`"):
        store.check(KEY)
    assert [manifest.key for manifest in store.manifests()] == [key(other)]


def test_what_processes_that_were_killed_while_they_removed_stages_have_left_is_removed(store: Store):
    left = store.home / "removed" / "artifacts-0-host-1-2"
    (left / "deeper").mkdir(parents=True)
    (left / "deeper" / "large.bin").write_bytes(bytes(1000))
    (store.home / "node-check-0").touch()
    folder = fill(store)
    store.clean()
    assert list((store.home / "removed").iterdir()) == []
    assert not (store.home / "node-check-0").exists()
    assert store.check(KEY, whole=True) == folder


def test_checking_a_stage_that_was_removed_is_one_sentence(store: Store):
    with pytest.raises(MachineError, match=r"cannot be read \(No such file or directory\)"):
        store.check(KEY)


def test_a_stage_whose_manifest_was_deleted_can_be_published_anew(store: Store):
    (fill(store) / MANIFEST).unlink()
    assert store.find(KEY) is None
    assert fill(store) == store.check(KEY)


def test_a_second_process_waits_says_so_and_finds_the_result(store: Store):
    code = """
store = notes.Store(notes.Path(sys.argv[3]))
with store.claim(notes.KEY, lambda: print("waiting", flush=True)) as folder:
    print("found" if store.find(notes.KEY) else "absent", folder.exists(), flush=True)
"""
    with store.claim(KEY) as folder:
        second = in_another_process(code, store.home)
        said(second, "waiting")
        store.publish(NOTE, folder, 1.0)
    said(second, "found False")
    second.communicate()
    assert second.returncode == 0


def test_an_unclaimed_stage_is_given_at_once_and_nobody_waits(store: Store):
    def waiting() -> None:
        pytest.fail("there is nobody to wait for")

    assert not store.is_claimed(KEY)
    with store.claim(KEY, waiting):
        assert store.is_claimed(KEY)
    assert not store.is_claimed(KEY)


def test_trying_to_claim_gives_the_folder_or_nothing_at_once(store: Store):
    with store.try_claim(KEY) as folder:
        assert folder is not None
        assert folder == store.unfinished(KEY)
        (folder / "half").touch()
        with store.try_claim(KEY) as second:
            assert second is None
        assert store.is_claimed(KEY)
    assert not store.is_claimed(KEY)
    with store.try_claim(KEY) as folder:
        assert folder is not None
        assert (folder / "half").exists()


def test_what_an_interrupted_run_left_is_in_the_folder_of_the_next(store: Store):
    with store.claim(KEY) as folder:
        (folder / "half").touch()
    with store.claim(KEY) as folder:
        assert (folder / "half").exists()


def test_removing_works_on_finished_and_unfinished_stages_but_not_on_one_at_work(store: Store):
    fill(store)
    store.remove(KEY)
    assert store.find(KEY) is None
    with store.claim(KEY), pytest.raises(MachineError, match="is being computed"):
        store.remove(KEY)
    store.remove(KEY)
    assert store.stage_keys() == []
    assert not any(path.is_file() for path in (store.home / "removed").rglob("*"))


def test_no_process_begins_to_compute_a_stage_while_it_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch):
    claimed: list[bool] = []

    def begin(store: Store, folder: Path) -> None:
        with store.try_claim(KEY) as given:
            claimed.append(given is not None)

    fill(store)
    monkeypatch.setattr(Store, "_discard", begin)
    store.remove(KEY)
    assert claimed == [False]


def test_a_stage_is_removed_from_a_home_that_has_lost_its_locks(store: Store):
    fill(store)
    shutil.rmtree(store.home / "locks")
    Store(store.home, create=False).remove(KEY)
    assert store.stage_keys() == []


def test_what_another_process_is_removing_is_left_to_it(store: Store):
    other = store.home / "removed" / "of another process"
    other.mkdir(parents=True)
    fill(store)
    store.remove(KEY)
    assert [path.name for path in (store.home / "removed").iterdir()] == [other.name]


def test_a_key_is_found_by_its_beginning(store: Store):
    fill(store)
    fill(store, Note("other"))
    assert store.key_beginning(KEY[:8]) == KEY
    with pytest.raises(InputError, match="2 stages have keys that begin with ''"):
        store.key_beginning("")
    with pytest.raises(InputError, match="no stage has a key that begins with 'xyz'"):
        store.key_beginning("xyz")


@pytest.mark.parametrize("home", ["a-file", "/proc/freelunch"])
def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path, home: str):
    (tmp_path / "a-file").touch()
    with pytest.raises(MachineError, match=r"cannot be written \(.+\): name another with --home or FREELUNCH_HOME\."):
        Store(tmp_path / home)


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.rename", "pathlib.Path.write_text"])
def test_a_full_disk_is_one_sentence_and_the_unfinished_folder_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str
):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with store.claim(KEY) as folder:
        (folder / "note.txt").write_text("hello")
        with monkeypatch.context() as patch:
            patch.setattr(call, full)
            with pytest.raises(MachineError, match=r"the disk of .+ is full \(\d+ MiB left\): free some space"):
                store.publish(NOTE, folder, 1.0)
    assert store.find(KEY) is None
    assert (folder / "note.txt").read_text() == "hello"
    with store.claim(KEY) as folder:
        store.publish(NOTE, folder, 1.0)
    assert store.check(KEY)


def test_a_full_disk_is_recognised_however_a_library_words_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(MachineError, match="is full"), translate_disk_errors(tmp_path):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path):
    with pytest.raises(RuntimeError, match="unrelated"), translate_disk_errors(tmp_path):
        raise RuntimeError("unrelated")
    with pytest.raises(PermissionError), translate_disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_a_manifest_tells_nothing_of_paths_on_this_machine(store: Store):
    manifest = json.loads((fill(store) / MANIFEST).read_text())
    assert str(store.home) not in json.dumps(manifest)
