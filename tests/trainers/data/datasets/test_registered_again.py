"""Datasets whose files or records changed since they were registered."""

import json
import os
from pathlib import Path

import pytest

from tests.trainers.data.datasets.registered import PHASES, Encode, annotate, keys, registered
from trainers.data.datasets import scan
from trainers.data.datasets.registry import load
from trainers.data.datasets.scan import Scanned
from trainers.runtime.registry import names
from trainers.stage import InputError, MachineError


def test_unchanged_videos_are_not_read_again(tmp_path: Path, root: Path, digested: list[str]):
    registered(tmp_path, root)
    assert sorted(digested) == ["video01.mp4", "video02.mp4", "video03.mp4"]
    digested.clear()
    registered(tmp_path, root)
    assert digested == []


def test_only_the_changed_video_is_read_again_and_is_another_stage(
    tmp_path: Path, root: Path, encode_video: Encode, digested: list[str]
):
    before = keys(registered(tmp_path, root))
    digested.clear()
    encode_video(root / "videos" / "video02.mp4", 30)
    after = keys(registered(tmp_path, root))
    assert digested == ["video02.mp4"]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("file", ["videos/video02.mp4", "phase_annotations/video02-phase.txt"])
def test_a_file_that_changed_since_is_refused_by_name(tmp_path: Path, root: Path, file: str):
    registered(tmp_path, root)
    stat = (root / file).stat()
    os.utime(root / file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    with pytest.raises(InputError, match=f"{file} changed since dataset 'mine' was ingested") as refused:
        load(tmp_path / "datasets", "mine")
    assert f"`freelunch ingest cholec80 {root} --name mine`" in str(refused.value)
    registered(tmp_path, root)
    load(tmp_path / "datasets", "mine")


def test_a_changed_annotation_makes_another_stage(tmp_path: Path, root: Path):
    before = keys(registered(tmp_path, root))
    annotate(root, 1, 26, PHASES[1])
    after = keys(registered(tmp_path, root))
    assert before[0] != after[0]
    assert before[1:] == after[1:]


def test_a_dataset_whose_files_are_gone_is_still_known(tmp_path: Path, root: Path):
    dataset = registered(tmp_path, root)
    root.rename(tmp_path / "away")
    assert load(tmp_path / "datasets", "mine") == dataset


def test_what_was_read_before_a_failed_try_is_not_read_again(tmp_path: Path, root: Path, digested: list[str]):
    whole = (root / "videos" / "video02.mp4").read_bytes()
    (root / "videos" / "video02.mp4").write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"video02\.mp4 is truncated"):
        registered(tmp_path, root)
    assert names(tmp_path / "datasets") == []
    digested.clear()
    (root / "videos" / "video02.mp4").write_bytes(whole)
    assert [video.name for video in registered(tmp_path, root).recordings] == ["video01", "video02", "video03"]
    assert digested == ["video02.mp4"]


def test_a_damaged_scan_is_made_again(tmp_path: Path, root: Path, digested: list[str]):
    dataset = registered(tmp_path, root)
    for content in ("", "[]", "{", '{"format": 1}'):
        digested.clear()
        for file in (tmp_path / "datasets" / "scans").iterdir():
            file.write_text(content)
        assert registered(tmp_path, root) == dataset
        assert len(digested) == 3


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"recordings": [{}]}'])
def test_a_damaged_record_is_one_sentence_and_registering_mends_it(tmp_path: Path, root: Path, content: str):
    registered(tmp_path, root)
    (tmp_path / "datasets" / "mine.json").write_text(content)
    with pytest.raises(
        MachineError, match=r"mine\.json cannot be read: `freelunch ingest DESCRIPTION FOLDER --name mine`"
    ):
        load(tmp_path / "datasets", "mine")
    registered(tmp_path, root)
    load(tmp_path / "datasets", "mine")


@pytest.mark.parametrize("field", ["name", "layout", "root", "video", "num_frames", "video_stamp"])
@pytest.mark.parametrize("value", [None, [1], {}, 0.5])
def test_a_record_with_a_value_of_another_type_is_one_sentence(tmp_path: Path, root: Path, field: str, value: object):
    registered(tmp_path, root)
    path = tmp_path / "datasets" / "mine.json"
    record = json.loads(path.read_text())
    (record if field in record else record["recordings"][0])[field] = value
    path.write_text(json.dumps(record))
    with pytest.raises(MachineError, match=r"mine\.json cannot be read"):
        load(tmp_path / "datasets", "mine")


def test_a_record_of_an_earlier_version_is_read_and_its_videos_keep_their_keys(tmp_path: Path, root: Path):
    dataset = registered(tmp_path, root)
    path = tmp_path / "datasets" / "mine.json"
    record = json.loads(path.read_text())
    for added in ("description", "source", "image_fps"):
        del record[added]
    for video in record["recordings"]:
        for added in ("fps", "num_images", "fold", "images", "oddities"):
            del video[added]
    path.write_text(json.dumps(record))
    earlier = load(tmp_path / "datasets", "mine")
    assert keys(earlier) == keys(dataset)
    assert earlier.described == dataset.described


def test_what_was_read_before_an_interrupt_is_not_read_again(
    tmp_path: Path, root: Path, digested: list[str], monkeypatch: pytest.MonkeyPatch
):
    counted = scan._scan_video

    def interrupted(path: Path) -> Scanned:
        if path.name == "video02.mp4":
            raise KeyboardInterrupt
        return counted(path)

    with monkeypatch.context() as patched:
        patched.setattr(scan, "_scan_video", interrupted)
        with pytest.raises(KeyboardInterrupt):
            registered(tmp_path, root)
    before = set(digested)
    assert "video01.mp4" in before
    digested.clear()
    registered(tmp_path, root)
    assert set(digested) == {"video01.mp4", "video02.mp4", "video03.mp4"} - before
