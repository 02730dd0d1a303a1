"""Described data sets of other rates than Cholec80's: rows and labels by the time of the recording."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainers.data.datasets.description import Description, builtin, parse
from trainers.data.datasets.registry import audit
from trainers.data.frames import FrameStore
from trainers.stage import Work

IMAGES = 'phases = ["A", "B"]\nframes = "{pattern}"\nfps = {fps}\n[annotations]\nfiles = "{{name}}.txt"\n'
ROWS = 'format = "second-rows"\n'


def findings(root: Path, described: Description) -> list[str]:
    return [each.sentence for each in audit(root / "home", "mine", described, root, lambda name: None).findings]


def stored(root: Path, described: Description, fps: float) -> FrameStore:
    audited = audit(root / "home", "mine", described, root, lambda name: None, fps=fps)
    assert audited.findings == ()
    output = root / "output"
    output.mkdir()
    audited.dataset.videos(fps=fps, size_px=96)[0].run(Work(output=output))
    return FrameStore(output)


def cut(root: Path, pattern: str, numbers: range, paint_index: Callable[[int], np.ndarray]) -> None:
    """Images that show their place in order."""
    for place, number in enumerate(numbers):
        path = root / pattern.replace("{name}", "op1").replace("{frame}", f"{number:05}")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), paint_index(place))


def test_a_row_per_frame_of_a_video_of_50_fps_is_read_at_its_rate(
    tmp_path: Path, encode_video: Callable[..., Path], index_of: Callable[[np.ndarray], int]
):
    video = tmp_path / "Videos" / "Hei-Chole1.mp4"
    video.parent.mkdir()
    encode_video(video, 200, rate=50)
    rows = "".join(f"{frame},{frame // 70}\n" for frame in range(200))
    (tmp_path / "Hei-Chole1_Annotation_Phase.csv").write_text(rows)
    with stored(tmp_path, builtin("heichole"), fps=5) as store:
        assert [index_of(store.read(row)) for row in range(len(store))] == list(range(0, 200, 10))
        assert store.labels.tolist() == [frame // 70 for frame in range(0, 200, 10)]


def test_a_data_set_without_annotations_is_stored_without_labels(tmp_path: Path, encode_video: Callable[..., Path]):
    encode_video(tmp_path / "op1.mp4", 50)
    with stored(tmp_path, parse('videos = "{name}.*"', str(tmp_path / "ours.toml")), fps=5) as store:
        assert store.labels.tolist() == [-1] * 10


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("pattern", ["{name}/{frame}.png", "all/{name}-{frame}.png"])
def test_images_are_counted_at_their_own_rate_from_0_or_from_1(
    tmp_path: Path,
    paint_index: Callable[[int], np.ndarray],
    index_of: Callable[[np.ndarray], int],
    pattern: str,
    first: int,
):
    cut(tmp_path, pattern, range(first, first + 36), paint_index)
    (tmp_path / "op1.txt").write_text("A\n" * 8 + "B\n" * 4)
    described = parse(IMAGES.format(pattern=pattern, fps=3) + ROWS, str(tmp_path / "ours.toml"))
    with stored(tmp_path, described, fps=1) as store:
        assert [index_of(store.read(row)) for row in range(len(store))] == list(range(0, 36, 3))
        assert store.labels.tolist() == [0] * 8 + [1] * 4


@pytest.mark.parametrize(
    ("described", "step", "is_refused"),
    [
        (builtin("frames"), 1, True),
        (builtin("frames"), 25, False),
        (builtin("frames").at_rate(25), 1, True),
        (builtin("frames").at_rate(1), 1, False),
        (parse(IMAGES.format(pattern="{name}/{frame}.png", fps=25) + ROWS, "/ours.toml"), 1, True),
        (parse(IMAGES.format(pattern="{name}/{frame}.png", fps=1) + ROWS, "/ours.toml"), 1, False),
    ],
)
def test_images_whose_operations_would_last_seconds_have_another_rate(
    tmp_path: Path, paint_index: Callable[[int], np.ndarray], described: Description, step: int, is_refused: bool
):
    cut(tmp_path, "{name}/{frame}.png", range(0, 40 * step, step), paint_index)
    said = [each for each in findings(tmp_path, described) if "rate must be wrong" in each]
    assert bool(said) == is_refused
    if said:
        assert "holds no operation longer than 1.6 s at 25 images per second (op1)" in said[0]
