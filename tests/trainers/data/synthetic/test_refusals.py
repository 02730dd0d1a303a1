"""Folders in which no synthetic videos can be made."""

import math
from pathlib import Path

import pytest

from trainers.data.datasets.synthetic_mark import PARAMETERS_FILE
from trainers.data.synthetic.videos import synthesize
from trainers.stage import InputError, MachineError


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, below: str):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"cannot be made .*: name another"):
        synthesize(tmp_path / "file" / below, num_videos=1, minutes=0.1)


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_record_of_the_parameters_is_named(tmp_path: Path, content: str):
    (tmp_path / PARAMETERS_FILE).write_text(content)
    with pytest.raises(InputError, match=f"{PARAMETERS_FILE} is damaged: delete it and the videos beside it"):
        synthesize(tmp_path, num_videos=1, minutes=0.1)


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_a_video_without_a_length_is_refused(tmp_path: Path, minutes: float):
    with pytest.raises(InputError, match=f"minutes is {float(minutes)}: a video needs a positive duration"):
        synthesize(tmp_path / "out", num_videos=1, minutes=minutes)
    assert not (tmp_path / "out").exists()
