"""Folders of label files: which file is of which video."""

from pathlib import Path

import pytest

from tests.trainers.evaluation.label_cases import write
from trainers.data.datasets import description
from trainers.data.datasets.patterns import Pattern
from trainers.evaluation.label_folder import label_folder
from trainers.stage import InputError


def test_files_are_of_the_video_that_their_name_begins_with(tmp_path: Path) -> None:
    names = (
        "video01-phase.txt",
        "workflow_video_02_pred.csv",
        "case-3.tsv",
        "video-04.txt",
        "Op_5_gt.TXT",
        "Op6_Annotation_Phase.csv",
    )
    for name in (*names, "notes.md", ".hidden.txt", "video01-timestamp.txt", "video01-tool.txt"):
        write(tmp_path / "here", name, "")
    (tmp_path / "here" / "folder.txt").mkdir()
    files = label_folder(tmp_path / "here", "predictions").files
    assert sorted(files) == ["Op6", "Op_5", "case-3", "video-04", "video01", "workflow_video_02"]


def test_folders_without_files_or_with_two_of_one_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        label_folder(tmp_path / "none", "predictions")
    write(tmp_path / "other", "readme.md", "")
    with pytest.raises(InputError, match=r"holds no .txt, .csv, .tsv file"):
        label_folder(tmp_path / "other", "predictions")
    for name in ("video01.txt", "video01-phase.txt"):
        write(tmp_path / "two", name, "")
    with pytest.raises(InputError, match="are both of video01"):
        label_folder(tmp_path / "two", "predictions")


def test_a_link_that_leads_nowhere_is_no_prediction_and_is_not_left_out_silently(tmp_path: Path) -> None:
    write(tmp_path / "pred", "video01.txt", "")
    (tmp_path / "pred" / "video02.txt").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"video02.txt is no file, or a link that leads nowhere"):
        label_folder(tmp_path / "pred", "predictions")


def test_files_of_a_description_are_found_in_the_data_sets_folder_and_in_their_own(tmp_path: Path) -> None:
    described = description.builtin("autolaparo").annotations
    for number in ("01", "02"):
        write(tmp_path / "labels", f"label_{number}.txt", "")
    for path in (tmp_path, tmp_path / "labels"):
        folder = label_folder(path, "annotations", described)
        assert folder.files == {number: tmp_path / "labels" / f"label_{number}.txt" for number in ("01", "02")}
        assert folder.described == {"01", "02"}
    write(tmp_path / "labels", "03.txt", "")
    mixed = label_folder(tmp_path / "labels", "annotations", described)
    assert sorted(mixed.files) == ["01", "02", "03"]
    assert mixed.described == {"01", "02"}


def test_a_pattern_without_a_name_in_its_last_part_is_that_of_the_data_sets_folder(tmp_path: Path) -> None:
    write(tmp_path / "root" / "op1", "phases.csv", "")
    folder = label_folder(tmp_path / "root", "annotations", [Pattern("{name}/phases.csv")])
    assert folder.files == {"op1": tmp_path / "root" / "op1" / "phases.csv"}
