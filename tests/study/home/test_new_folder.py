"""Folders outside of the home folder appear whole or not at all."""

from pathlib import Path

import pytest

from study.home.new_folder import check_free, filling
from trainers.stage import InputError


def is_ours(folder: Path) -> bool:
    return (folder / "ours").exists()


def fill(path: Path, ending: BaseException | None = None) -> None:
    with filling(path) as folder:
        (folder / "file").write_text("new")
        if ending is not None:
            raise ending


def test_a_folder_appears_when_it_is_whole(tmp_path: Path):
    with filling(tmp_path / "below" / "new") as folder:
        (folder / "file").write_text("whole")
        assert not (tmp_path / "below" / "new").exists()
    assert (tmp_path / "below" / "new" / "file").read_text() == "whole"
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["new"]


def test_what_fails_leaves_what_was_there(tmp_path: Path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "new", KeyboardInterrupt())
    assert (tmp_path / "new" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_was_there_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise PermissionError("it may not")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(PermissionError):
        fill(tmp_path / "new")
    assert (tmp_path / "new" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_place_is_free_where_nothing_would_be_lost(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        check_free(tmp_path / name, overwrite=False, is_ours=is_ours)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(InputError, match="is no folder"):
        check_free(tmp_path / "link", overwrite=True, is_ours=is_ours)
