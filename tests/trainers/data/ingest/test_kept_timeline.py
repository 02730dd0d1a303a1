"""Timelines that registration keeps, and that spare the stage a pass over the video."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.damage import damaged_arrays
from tests.trainers.data.timed_videos import Coding, turn, write, write_sizes
from trainers.data.frames import FILE_NAME
from trainers.data.ingest import video as ingest
from trainers.data.ingest.kept_timeline import keep_timeline, kept_timeline
from trainers.data.ingest.timeline import Timeline
from trainers.data.ingest.video import Video
from trainers.data.ingest.video_file import read_timeline
from trainers.stage import Work


def turned(path: Path) -> Path:
    return turn(write(path.with_suffix(".mp4"), 20), (0, 1, -1, 0))


def resized(path: Path) -> Path:
    return write_sizes(path.with_suffix(".ts"), [(128, 96), (256, 192)], 12)


def interlaced(path: Path) -> Path:
    return write(path.with_suffix(".mkv"), 20, Coding(options={"x264-params": "tff=1"}))


def varying(path: Path) -> Path:
    return write(path.with_suffix(".mov"), [0, 1, 2, 5, 6, 9, 10], Coding(rate=Fraction(30000, 1001)))


def of_unordered_times(path: Path) -> Path:
    return write(path.with_suffix(".avi"), 20, Coding(codec="mpeg4", options={"bf": "2"}))


def assert_same(first: Timeline, second: Timeline) -> None:
    for field in fields(Timeline):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert type(one) is type(other), field.name
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name


@pytest.mark.parametrize("made", [turned, resized, interlaced, varying, of_unordered_times])
def test_a_stage_stores_the_same_rows_from_a_kept_timeline_and_reads_none(
    tmp_path: Path, made: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
):
    path, kept = made(tmp_path / "video"), tmp_path / "kept.npz"
    timeline = read_timeline(path)
    keep_timeline(kept, timeline, path)
    found = kept_timeline(kept, path)
    assert found is not None
    assert_same(found, timeline)
    stage = Video(
        name="video",
        video_digest="ab" * 16,
        annotation_digest=None,
        phases=(),
        timing="seconds",
        size_px=96,
        video_path=path,
        annotation_path=None,
    )
    folders = [tmp_path / "read", tmp_path / "kept"]
    for folder in folders:
        folder.mkdir()
    stage.run(Work(output=folders[0]))
    monkeypatch.setattr(ingest, "read_timeline", lambda path: pytest.fail("the video was read for its timeline"))
    replace(stage, timeline_path=kept).run(Work(output=folders[1]))
    for name in (FILE_NAME, "audit.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_a_timeline_of_a_video_that_has_changed_or_of_none_is_not_used(tmp_path: Path):
    path, kept = write(tmp_path / "video.mp4", 20), tmp_path / "kept.npz"
    assert kept_timeline(None, path) is None
    assert kept_timeline(kept, path) is None
    keep_timeline(kept, read_timeline(path), path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert kept_timeline(kept, path) is None


def test_a_damaged_timeline_is_not_used(tmp_path: Path):
    path, kept = write(tmp_path / "video.mp4", 20), tmp_path / "kept.npz"
    keep_timeline(kept, read_timeline(path), path)
    for content in damaged_arrays(kept.read_bytes()):
        kept.write_bytes(content)
        assert kept_timeline(kept, path) is None
