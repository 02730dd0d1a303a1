"""How often a video is read: once for its audit, and once when its frames are stored."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.data.timed_videos import Coding, write
from trainers.data.datasets import registry
from trainers.data.datasets.description import parse
from trainers.stage import Work

SECONDS, FPS = 61, 5
"""Shorter videos are decoded whole for their audit, as they have few key frames."""
COUNTER = Path("/proc/self/io")


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (192, 256, 3), np.uint8)


def num_read() -> int:
    """Bytes that this process has read from files, those that lay in memory too."""
    return next(int(line.split()[1]) for line in COUNTER.read_text().splitlines() if line.startswith("rchar"))


@pytest.mark.skipif(not COUNTER.exists(), reason="no counter of bytes that were read")
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_video_is_read_twice_from_its_audit_to_its_rows(tmp_path: Path, ending: str):
    coding = Coding(rate=Fraction(FPS), options={"g": "100", "crf": "18"})
    path = write(tmp_path / f"video.{ending}", SECONDS * FPS, coding, noise)
    described = parse('videos = "{name}.*"', str(tmp_path / "ours.toml"))
    for name in ("first", "second"):  # what Python itself reads is read the first time
        before = num_read()
        audited = registry.audit(tmp_path / name, "ours", described, tmp_path, lambda video: None)
        (stage,) = registry.write(tmp_path / name, audited).videos(fps=1, size_px=64)
        (tmp_path / name / "out").mkdir()
        stage.run(Work(output=tmp_path / name / "out"))
    # The first 48 frames are looked at apart, and some key frames: little of a whole operation, more of a minute.
    assert num_read() - before < 2.9 * path.stat().st_size
