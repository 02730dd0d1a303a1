from pathlib import Path

import pytest

from trainers.data.datasets.m2cai16 import PHASES, discover
from trainers.data.ingest.annotations import read_phases
from trainers.stage import InputError


def lay_out(root: Path, train: list[str], test: list[str]) -> Path:
    for folder, names in (("train_dataset", train), ("test_dataset", test)):
        (root / folder).mkdir(parents=True)
        for name in names:
            (root / folder / name).touch()
    return root


def pair(name: str) -> list[str]:
    return [f"{name}.mp4", f"{name}.txt"]


def test_training_videos_come_first_and_every_recording_knows_its_side(tmp_path: Path):
    root = lay_out(
        tmp_path,
        [*pair("workflow_video_02"), *pair("workflow_video_01"), "readme.txt", "._workflow_video_01.mp4"],
        pair("test_workflow_video_01"),
    )
    recordings = discover(root)
    assert [(recording.name, recording.subset) for recording in recordings] == [
        ("workflow_video_01", "train"),
        ("workflow_video_02", "train"),
        ("test_workflow_video_01", "test"),
    ]
    assert recordings[2].video == root / "test_dataset" / "test_workflow_video_01.mp4"
    assert recordings[2].annotation == root / "test_dataset" / "test_workflow_video_01.txt"


def test_trocar_placement_comes_before_the_phases_of_cholec80(tmp_path: Path):
    path = tmp_path / "workflow_video_01.txt"
    path.write_text("Frame\tPhase\n0\tTrocarPlacement\n1\tPreparation\n2\tGallbladderRetraction\n")
    assert len(PHASES) == 8
    assert read_phases(path, PHASES).tolist() == [0, 1, 7]


def test_a_video_may_lack_an_annotation_only_on_request(tmp_path: Path):
    root = lay_out(tmp_path, pair("workflow_video_01"), ["test_workflow_video_01.mp4"])
    with pytest.raises(InputError, match=r"test_workflow_video_01\.mp4 has no annotation: add the one"):
        discover(root)
    assert discover(root, labelled=False)[1].annotation is None


@pytest.mark.parametrize(
    ("train", "test", "complaint"),
    [
        ([], [], r"train_dataset holds no mp4: M2CAI16 is laid out as"),
        (pair("workflow_video_01"), [], r"test_dataset holds no mp4"),
        (
            pair("workflow_video_01"),
            pair("workflow_video_02"),
            r"video_02\.mp4 is not named like test_workflow_video_01",
        ),
        (
            [*pair("workflow_video_01"), "workflow_video_05.txt"],
            [],
            r"video_05\.txt annotates workflow_video_05, which has",
        ),
    ],
)
def test_folders_with_other_contents_are_refused(tmp_path: Path, train: list[str], test: list[str], complaint: str):
    with pytest.raises(InputError, match=complaint):
        discover(lay_out(tmp_path, train, test))


def test_a_folder_of_another_layout_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere is not a folder: name the folder"):
        discover(tmp_path / "nowhere")
    with pytest.raises(
        InputError, match=r"has no folder train_dataset/: M2CAI16 is laid out as train_dataset/workflow"
    ):
        discover(tmp_path)
