"""Stages that a process computes or removes, and other processes beside it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study.core.manifest import computed_seconds
from study.core.store import Store
from tests.study.core.notes import KEY, NOTE, fill
from trainers.stage import MachineError


def in_another_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Runs code that knows `store`, the store of the home that is the first of the arguments, and their rest."""
    start = (
        "import sys, time; from pathlib import Path; from study.core.store import Store;"
        "from tests.study.core.notes import KEY, NOTE; store = Store(Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


@pytest.mark.parametrize("moment", ["filling", "publishing"])
def test_a_killed_process_leaves_nothing_visible_and_its_folder(store: Store, moment: str):
    code = """
with store.claim(KEY) as folder:
    (folder / "note.txt").write_text("half")
    def stop(*_):
        print("ready", flush=True)
        time.sleep(600)
    if sys.argv[2] == "filling":
        stop()
    import study.core.store
    study.core.store.manifest_of = stop
    store.publish(NOTE, folder, 1.0)
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


def test_a_second_process_waits_says_so_and_finds_the_result(store: Store):
    code = """
with store.claim(KEY, lambda: print("waiting", flush=True)) as folder:
    print("found" if store.find(KEY) else "absent", folder.exists(), flush=True)
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
