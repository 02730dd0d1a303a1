"""Videos at the command line: what is ingested, and videos that cannot be."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.study.tiny_home import done, refused

pytestmark = pytest.mark.usefixtures("tiny_scale")
Call = Callable[..., Result]


def test_a_video_without_annotation_is_named(call: Call, own_videos: Path):
    (own_videos / "phase_annotations" / "video02-phase.txt").unlink()
    refused(call("ingest", "cholec80", str(own_videos)), 2, "video02.mp4 has no annotation")


def test_unlabelled_videos_are_ingested_beside_the_annotated_ones(call: Call, own_videos: Path, tmp_path: Path):
    more = tmp_path / "more"
    more.mkdir()
    (own_videos / "videos" / "video04.mp4").rename(more / "of ours.mp4")
    (own_videos / "phase_annotations" / "video04-phase.txt").unlink()
    arguments = ("ingest", "cholec80", str(own_videos), "--unlabelled", str(more), "--name", "ours", "--scale", "tiny")
    result = call(*arguments, "--threads", "1")
    assert result.exit_code == 0
    assert "of ours" in result.output
    assert result.output.endswith("plan table3 --dataset ours --scale tiny\n")
    planned = call("plan", "table3", "--dataset", "ours", "--scale", "tiny")
    assert "1 unlabelled" in planned.output


def test_what_follows_a_dataset_without_annotations_can_be_done(call: Call, own_videos: Path, tmp_path: Path):
    more = tmp_path / "more"
    more.mkdir()
    (own_videos / "videos" / "video04.mp4").rename(more / "op1.mp4")
    (own_videos / "phase_annotations" / "video04-phase.txt").unlink()
    (tmp_path / "ours.toml").write_text('videos = "more/{name}.mp4"\n')
    asked = ("ingest", str(tmp_path / "ours.toml"), "--scale", "tiny", "--threads", "1")
    first = done(call(*asked)).output.splitlines()[-1]
    assert "ingest cholec80 FOLDER --scale tiny, then freelunch" in first
    assert first.endswith("plan table3 --dataset cholec80 --pretrain-on ours --scale tiny")
    done(call("ingest", "cholec80", str(own_videos), "--scale", "tiny", "--threads", "1"))
    proposed = done(call(*asked)).output.splitlines()[-1]
    assert proposed.endswith("plan table3 --dataset cholec80 --pretrain-on ours --scale tiny")
    planned = done(call(*proposed.split(f"{tmp_path / 'home'} ")[1].split())).output
    assert planned.splitlines()[-1].endswith("run table3 --scale tiny --pretrain-on ours --dataset cholec80")


def test_the_command_to_repeat_names_the_folder_only_where_it_was_named(call: Call, own_videos: Path, tmp_path: Path):
    described = own_videos / "ours.toml"
    described.write_text('videos = "videos/{name}.mp4"\n')
    shown = done(call("ingest", str(described), "--scale", "tiny", "--dry-run")).output.splitlines()[-1]
    assert shown.endswith(f"ingest {described} --name ours --scale tiny")
    named = done(call("ingest", str(described), str(own_videos), "--scale", "tiny", "--dry-run")).output.splitlines()
    assert named[-1].endswith(f"ingest {described} {own_videos} --name ours --scale tiny")


def test_a_truncated_video_is_named(call: Call, own_videos: Path):
    video = own_videos / "videos" / "video03.mp4"
    video.write_bytes(video.read_bytes()[:-1000])
    refused(call("ingest", "cholec80", str(own_videos)), 2, "video03.mp4 is truncated", "copy it again")


def test_errors_of_all_videos_are_one_table_and_nothing_is_stored(call: Call, own_videos: Path, tmp_path: Path):
    annotation = own_videos / "phase_annotations" / "video02-phase.txt"
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([*lines[:7], "6\tPreparatoin", *lines[8:]]))
    (own_videos / "videos" / "video03.mp4").write_bytes(b"")
    asked = ("ingest", "cholec80", str(own_videos), "--scale", "tiny", "--threads", "1")
    for more in ((), ("--dry-run",)):
        result = call(*asked, *more)
        refused(result, 2, "video03.mp4 is empty: copy it again from its source. (One more error was found.)")
        table = " ".join(result.stdout.split())
        assert f"error {annotation} 8 names the unknown phase 'Preparatoin' did you mean 'Preparation'?" in table
        assert not list((tmp_path / "home" / "artifacts").iterdir())
        assert not list((tmp_path / "home" / "datasets").glob("*.json"))


def test_a_dry_run_ends_with_the_time_and_disk_that_are_expected(call: Call, own_videos: Path, tmp_path: Path):
    annotation = own_videos / "phase_annotations" / "video02-phase.txt"
    annotation.write_text("\n".join(annotation.read_text().splitlines()[:-2]))
    asked = ("ingest", "cholec80", str(own_videos), "--scale", "tiny", "--threads", "1")
    result = done(call(*asked, "--dry-run"))
    assert "warning" in result.output
    assert "both cut to" in result.output
    assert re.search(
        r"4 of 4 videos to store: about .* on one CPU core \(a guess from the speed of two CPU cores\)", result.output
    )
    assert "B of disk, where" in result.output
    assert result.output.splitlines()[-1].startswith("next: freelunch --home ")
    assert "--dry-run" not in result.output
    assert "no dataset is registered" in call("datasets").output
    done(call(*asked))
    assert "every video is stored already" in done(call(*asked, "--dry-run")).output
