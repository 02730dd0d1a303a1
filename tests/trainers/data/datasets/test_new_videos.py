import re
from pathlib import Path

import pytest

from trainers.data.datasets.new_videos import find_videos
from trainers.stage import InputError


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names_of(*paths: Path, image_fps: float | None = None) -> list[tuple[str, bool]]:
    return [(video.name, video.is_frames) for video in find_videos(paths, image_fps=image_fps)]


def test_a_folder_stands_for_its_videos_by_name_and_not_for_what_is_hidden_or_none(tmp_path: Path):
    folder = files(tmp_path, "b.mp4", "a.MKV", "._a.mp4", "notes.txt", "below/c.mp4")
    assert names_of(folder) == [("a", False), ("b", False)]
    assert names_of(folder / "b.mp4", folder) == [("b", False), ("a", False)]


def test_a_folder_of_images_is_one_video_and_a_folder_of_such_folders_several(tmp_path: Path):
    folder = files(tmp_path, "one/0.jpg", "one/1.jpg", "two/0.png", "empty/readme.txt")
    assert names_of(folder / "one", image_fps=1) == [("one", True)]
    assert names_of(folder, image_fps=1) == [("one", True), ("two", True)]


def test_two_videos_of_one_name_are_refused_also_where_only_the_case_differs(tmp_path: Path):
    files(tmp_path, "x/a.mp4", "y/A.mp4")
    with pytest.raises(InputError, match="are both named 'A', and so would be what is written of them"):
        find_videos([tmp_path / "x", tmp_path / "y"], image_fps=None)


def test_the_rate_of_images_must_be_known_and_videos_have_their_own(tmp_path: Path):
    files(tmp_path, "frames/0.jpg", "a.mp4")
    with pytest.raises(InputError, match=f"{re.escape(str(tmp_path / 'frames'))} holds images: say with --fps"):
        find_videos([tmp_path / "frames"], image_fps=None)
    with pytest.raises(InputError, match=r"--fps 5 is the rate of images, and .*a\.mp4 is a video: leave it out"):
        find_videos([tmp_path / "a.mp4"], image_fps=5)


def test_places_without_videos_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        find_videos([tmp_path / "nowhere"], image_fps=None)
    with pytest.raises(InputError, match="holds neither videos nor images"):
        find_videos([tmp_path], image_fps=None)
