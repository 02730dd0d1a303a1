import shutil
from pathlib import Path

import pytest

from study.home.scratch import own_folder


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
