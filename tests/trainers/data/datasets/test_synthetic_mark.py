"""Datasets of synthetic videos are known by the mark that the generator leaves, and by nothing else."""

import json
from pathlib import Path

import pytest

from tests.trainers.data.datasets.registered import registered
from trainers.data.datasets.registry import load
from trainers.data.datasets.synthetic_mark import MADE, PARAMETERS_FILE, marked_hospital


@pytest.mark.parametrize(
    ("mark", "hospital"),
    [
        ('{"minutes": 0.5, "seed": 0}', "first"),
        ('{"minutes": 0.5, "hospital": "second"}', "second"),
        ('{"hospital": 2}', None),
        ("[]", None),
        ("{", None),
        ("[" * 100_000, None),
        ("\ud800", None),
    ],
)
def test_the_mark_names_the_hospital_and_a_damaged_one_is_none(tmp_path: Path, mark: str, hospital: str | None):
    (tmp_path / PARAMETERS_FILE).write_bytes(mark.encode("utf-8", "surrogatepass"))
    assert marked_hospital(tmp_path) == hospital
    assert marked_hospital(tmp_path / "elsewhere") is None


def test_a_folder_in_another_layout_has_the_mark_of_what_its_videos_were_made_as(tmp_path: Path):
    (tmp_path / MADE).mkdir()
    (tmp_path / MADE / PARAMETERS_FILE).write_text("{}")
    assert marked_hospital(tmp_path) == "first"


def test_a_dataset_is_registered_with_its_mark_which_outlives_the_folder(tmp_path: Path, root: Path):
    assert registered(tmp_path, root).synthetic is None
    (root / PARAMETERS_FILE).write_text("{}")
    assert registered(tmp_path, root).synthetic == "first"
    root.rename(tmp_path / "moved")
    assert load(tmp_path / "datasets", "mine").synthetic == "first"


def test_a_record_of_an_earlier_version_is_read_with_the_mark_of_its_folder(tmp_path: Path, root: Path):
    registered(tmp_path, root)
    file = tmp_path / "datasets" / "mine.json"
    record = json.loads(file.read_text())
    del record["synthetic"]
    file.write_text(json.dumps(record))
    assert load(tmp_path / "datasets", "mine").synthetic is None
    (root / PARAMETERS_FILE).write_text('{"hospital": "second"}')
    assert load(tmp_path / "datasets", "mine").synthetic == "second"
