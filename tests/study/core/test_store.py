import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from study.core.graph import key
from study.core.manifest import COMPUTED, MANIFEST
from study.core.store import Store
from tests.study.core.notes import KEY, NOTE, Note, fill
from trainers.stage import InputError, MachineError


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


def test_checking_a_stage_that_was_removed_is_one_sentence(store: Store):
    with pytest.raises(MachineError, match=r"cannot be read \(No such file or directory\)"):
        store.check(KEY)


def test_a_stage_whose_manifest_was_deleted_can_be_published_anew(store: Store):
    (fill(store) / MANIFEST).unlink()
    assert store.find(KEY) is None
    assert fill(store) == store.check(KEY)


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


def test_a_manifest_tells_nothing_of_paths_on_this_machine(store: Store):
    manifest = json.loads((fill(store) / MANIFEST).read_text())
    assert str(store.home) not in json.dumps(manifest)
