"""Scans of videos that are kept between two looks."""

from pathlib import Path

import numpy as np
import pytest

from tests.damage import damaged
from trainers.data.datasets import scan
from trainers.data.datasets.recordings import Recording
from trainers.data.datasets.scan import Scan, Scans
from trainers.data.ingest.samples import SIDE_PX, Samples

SCAN = Scan(digest="d", stream_digest="s", num_frames=30, fps=25.0, remarks=("odd.",))
NO_SAMPLES = Samples(seconds=np.empty(0), pictures=np.empty((0, SIDE_PX, SIDE_PX), np.uint8))


def test_a_stored_scan_is_taken_whole_and_a_damaged_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    video, again = tmp_path / "video.mp4", Scan(digest="e", stream_digest=None, num_frames=1, fps=1.0)
    video.touch()
    recording = Recording(name="video", video=video, annotation=None)
    scans = Scans(tmp_path / "scans")
    (tmp_path / "scans").mkdir()
    monkeypatch.setattr(scan, "_scan_video", lambda path: (SCAN, NO_SAMPLES, None))
    assert scans.of(recording, image_fps=None) == SCAN
    monkeypatch.setattr(scan, "_scan_video", lambda path: (again, NO_SAMPLES, None))
    assert scans.of(recording, image_fps=None) == SCAN
    (stored,) = (tmp_path / "scans").glob("*.json")
    found = []
    for content in damaged(stored.read_bytes()):
        stored.write_bytes(content)
        found.append(scans.of(recording, image_fps=None))
    assert again in found
    for each in found:
        assert type(each.num_frames) is int
        assert isinstance(each.digest, str)
        assert isinstance(each.fps, float | int)
