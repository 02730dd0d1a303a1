"""How often a video is read: once for its audit, and once when its frames are stored."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.container import InputContainer

from tests.trainers.data.timed_videos import Coding, write
from trainers.data.datasets import registry
from trainers.data.datasets.description import parse
from trainers.data.ingest.containers import opened
from trainers.data.ingest.passing import PassingPictures, passing_pictures
from trainers.data.ingest.pictures import Taken, VideoPictures
from trainers.data.ingest.samples import Samples, take
from trainers.data.ingest.video_file import read_timeline
from trainers.stage import Work

FPS, BETWEEN_KEYS = 5, 10
SHORT, LONG = 55, 100
"""Seconds: shorter videos are decoded whole for their audit, of longer ones some key frames are."""
COUNTER = Path("/proc/self/io")


def noise(number: int) -> np.ndarray:
    """Another picture for every key frame, so that key frames are nearly the whole video."""
    return np.random.default_rng(number // BETWEEN_KEYS).integers(0, 256, (192, 256, 3), np.uint8)


def num_read() -> int:
    """Bytes that this process has read from files, those that lay in memory too."""
    return next(int(line.split()[1]) for line in COUNTER.read_text().splitlines() if line.startswith("rchar"))


@pytest.mark.skipif(not COUNTER.exists(), reason="no counter of bytes that were read")
@pytest.mark.parametrize(
    ("ending", "seconds", "most"), [("mp4", SHORT, 3.2), ("mp4", LONG, 2.8), ("mkv", LONG, 2.9), ("ts", LONG, 5.5)]
)
def test_a_video_is_read_twice_from_its_audit_to_its_rows(tmp_path: Path, ending: str, seconds: int, most: float):
    # Its first 48 frames are read apart, and 16 key frames for margins: much of a minute, little of an operation.
    coding = Coding(rate=Fraction(FPS), options={"g": str(BETWEEN_KEYS), "crf": "18"})
    path = write(tmp_path / f"video.{ending}", seconds * FPS, coding, noise)
    described = parse('videos = "{name}.*"', str(tmp_path / "ours.toml"))
    for name in ("first", "second"):  # what Python itself reads is read the first time
        before = num_read()
        audited = registry.audit(tmp_path / name, "ours", described, tmp_path, lambda video: None)
        (stage,) = registry.write(tmp_path / name, audited).videos(fps=1, size_px=64)
        (tmp_path / name / "out").mkdir()
        stage.run(Work(output=tmp_path / name / "out"))
    assert num_read() - before < most * path.stat().st_size


SHAPES = {
    "mp4": Coding(options={"bf": "2", "preset": "veryfast"}),
    "mkv": Coding(options={"bf": "2", "preset": "veryfast", "x264-params": "open-gop=1"}),
    "avi": Coding(codec="mpeg4", options={"bf": "2"}),
    "mov": Coding(codec="mjpeg"),
    "ts": Coding(options={"bf": "2", "preset": "veryfast"}),
    "mpg": Coding(codec="mpeg2video", options={"bf": "2"}),
}


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("ending", SHAPES)
def test_pictures_that_are_taken_in_passing_are_those_that_would_be_read(
    tmp_path: Path, ending: str, step: int, monkeypatch: pytest.MonkeyPatch
):
    path = write(tmp_path / f"video.{ending}", range(0, 250 * step, step), SHAPES[ending])
    with passing_pictures(path) as passing:
        timeline = read_timeline(path, see=passing.see)
    assert read_timeline(path).looks == timeline.looks

    def samples(taken: Taken) -> Samples:
        return take(VideoPictures.of(path, timeline, taken), timeline.seconds)[1]

    read = samples(Taken())
    monkeypatch.setattr(InputContainer, "seek", lambda *_, **__: pytest.fail("the video was read again"))
    passed = samples(passing.taken)
    assert np.array_equal(passed.seconds, read.seconds)
    assert np.array_equal(passed.pictures, read.pictures)


@pytest.mark.parametrize("declared", [20.0, 4000.0])
def test_a_wrong_length_in_the_file_changes_no_picture(tmp_path: Path, declared: float):
    path = write(tmp_path / "video.mkv", range(0, 250 * 7, 7), SHAPES["mkv"])
    with opened(path) as (_, stream):
        passing = PassingPictures(stream, declared)
        timeline = read_timeline(path, see=passing.see)
    _, read = take(VideoPictures.of(path, timeline), timeline.seconds)
    _, passed = take(VideoPictures.of(path, timeline, passing.taken), timeline.seconds)
    assert np.array_equal(passed.seconds, read.seconds)
    assert np.array_equal(passed.pictures, read.pictures)
