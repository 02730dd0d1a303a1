import os
import shutil
from pathlib import Path

import pytest

from study.home.scratch import NODE_CHECK, own_file, own_folder, remove_left_files
from tests.study.home.test_files import hold


@pytest.fixture
def guard(tmp_path: Path) -> Path:
    return tmp_path / "guard"


def test_a_folder_of_ones_own_is_gone_at_the_end(tmp_path: Path, guard: Path):
    with own_folder(tmp_path / "ray", guard) as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path / "ray"
    assert list((tmp_path / "ray").iterdir()) == []


def test_what_a_killed_process_has_left_is_removed_and_what_others_hold_is_not(tmp_path: Path, guard: Path):
    parent = tmp_path / "ray"
    with own_folder(parent, guard) as folder:
        shutil.copytree(folder, parent / "killed")  # its owner's lock is nobody's
        (parent / "older" / "tune").mkdir(parents=True)
        with own_folder(parent, guard) as other:
            assert set(parent.iterdir()) == {folder, other}
    assert list(parent.iterdir()) == []


def test_a_file_of_ones_own_holds_its_name_and_is_gone_at_the_end(tmp_path: Path):
    with own_file(tmp_path, NODE_CHECK) as path:
        assert path.read_text() == path.name
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == []


def test_files_of_killed_processes_are_removed_and_those_of_living_ones_are_not(tmp_path: Path):
    killed, living = tmp_path / f"{NODE_CHECK}killed", tmp_path / f"{NODE_CHECK}living"
    half, just_begun = tmp_path / f"{NODE_CHECK}0.1.part", tmp_path / f"{NODE_CHECK}2.3.part"
    for path in (killed, half, just_begun, tmp_path / "other"):
        path.touch()
    os.utime(half, (0, 0))
    holder = hold(living)
    remove_left_files(tmp_path, NODE_CHECK)
    assert sorted(path.name for path in tmp_path.iterdir()) == [just_begun.name, living.name, "other"]
    holder.kill()
    holder.communicate()
    remove_left_files(tmp_path, NODE_CHECK)
    assert sorted(path.name for path in tmp_path.iterdir()) == [just_begun.name, "other"]
