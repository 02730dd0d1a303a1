"""The datasets of a trial's run: what each is read for, and which of two datasets its videos are of."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces.protocol.conditions import Conditions
from search_spaces.studies.catalogue import STUDIES
from study.tracking.datasets import log_datasets
from study.tracking.journal import JOURNAL, Journal
from tests.search_spaces.fake_dataset import conditions, fake_m2cai16

ALONE = conditions()
TRANSFER = replace(ALONE, dataset=fake_m2cai16(), pretrain_on=ALONE.dataset)


def logged(here: Conditions, row: str, folder: Path) -> dict[tuple[str, str], set[str]]:
    """The names of the videos by dataset and use."""
    (trial,) = STUDIES["table1"].trials(here, only=[row])
    journal = Journal.claim(folder)
    assert journal is not None
    log_datasets(journal, trial, here.dataset.name, here.pretrain_on.name if here.pretrain_on else "")
    journal.close()
    entries = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
    return {
        (entry["name"].partition(" videos")[0], entry["context"]): {
            each["name"] for each in json.loads(entry["source"])
        }
        for entry in entries
        if entry["kind"] == "dataset"
    }


def numbered(prefix: str, *numbers: int) -> set[str]:
    return {f"{prefix}{number:02}" for number in numbers}


def test_a_transfer_reads_one_dataset_to_pretrain_and_the_other_for_everything_else(tmp_path: Path):
    found = logged(TRANSFER, "moco", tmp_path)
    assert found == {
        ("fake", "pretraining"): numbered("video", 1, 2, 3, 4),
        ("fake", "validation"): numbered("video", 5),
        ("fake-m2cai16", "training"): numbered("workflow_video_", *range(1, 9)),
        ("fake-m2cai16", "validation"): numbered("workflow_video_", 9, 10),
        ("fake-m2cai16", "test"): numbered("workflow_video_", *range(11, 15)),
    }


@pytest.mark.parametrize("row", ["moco", "ours", "scratch"])
def test_without_a_transfer_every_video_is_of_the_one_dataset(tmp_path: Path, row: str):
    found = logged(ALONE, row, tmp_path)
    videos = {use for name, use in found if name == "fake"}
    assert videos == {"training", "validation", "test"}
    assert not any(use == "pretraining" for _, use in found)


def test_a_row_without_pretraining_reads_nothing_of_the_other_dataset(tmp_path: Path):
    assert not any(name == "fake" for name, _ in logged(TRANSFER, "scratch", tmp_path))
