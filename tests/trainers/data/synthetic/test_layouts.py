"""Synthetic videos in the layout of every built-in description, found and read by it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainers.data.datasets import image_lengths
from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.description import BUILT_IN, builtin
from trainers.data.datasets.discovery import discover
from trainers.data.datasets.frame_folders import images_by_index
from trainers.data.datasets.registry import audit, load, write
from trainers.data.datasets.synthetic_mark import MADE
from trainers.data.frames import FrameStore
from trainers.data.ingest.annotations import read_labels, read_phases
from trainers.data.synthetic.layouts import WRITERS, lay_out
from trainers.stage import InputError, Work

NUM_VIDEOS, NUM_FRAMES = 4, 90
TRUTH = [frame // 40 for frame in range(NUM_FRAMES)]


@pytest.fixture
def root(tmp_path: Path, encode_video: Callable[..., Path]) -> Path:
    """A folder whose hidden part holds videos as they were made."""
    made = tmp_path / MADE
    for folder in ("videos", "phase_annotations"):
        (made / folder).mkdir(parents=True)
    for number in range(1, NUM_VIDEOS + 1):
        start = (number - 1) * NUM_FRAMES  # videos that are the same are refused
        encode_video(made / "videos" / f"video{number:02}.mp4", range(start, start + NUM_FRAMES))
        rows = [f"{frame}\t{PHASES[phase]}" for frame, phase in enumerate(TRUTH)]
        annotation = made / "phase_annotations" / f"video{number:02}-phase.txt"
        annotation.write_text("\n".join(["Frame\tPhase", *rows]) + "\n")
    return tmp_path


@pytest.mark.parametrize("layout", WRITERS)
def test_a_built_in_description_finds_and_reads_videos_in_its_layout(root: Path, layout: str):
    lay_out(root / MADE, root, layout)
    described = builtin(layout)
    discovery = discover(described, root)
    assert discovery.findings == ()
    assert len(discovery.recordings) == NUM_VIDEOS
    for recording in discovery.recordings:
        assert recording.annotation is not None
        if described.annotation_format is None:
            labels = read_phases(recording.annotation, described.phases)[::25]
        else:
            track = read_labels(recording.annotation, described.phases, described.annotation_format, video_fps=25)
            labels = track.at(np.arange(4))
        first = 1 if layout == "m2cai16" else 0
        assert labels.tolist() == [0, *(phase + first for phase in TRUTH[25::25])]
        if described.are_frames:
            step = 1 if layout == "cholect50" else 5
            assert list(images_by_index(recording.video)) == list(range(0, {1: 4, 5: NUM_FRAMES}[step], step))


@pytest.mark.parametrize("layout", WRITERS)
def test_videos_in_every_layout_are_registered_and_stored(
    root: Path, layout: str, index_of: Callable[[np.ndarray], int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(image_lengths, "SHORTEST_SECONDS", 0)
    lay_out(root / MADE, root, layout)
    audited = audit(root / "datasets", "mine", builtin(layout), root, lambda name: None)
    assert audited.findings == ()
    assert write(root / "datasets", audited) == load(root / "datasets", "mine")
    stage = audited.dataset.videos(fps=5, size_px=96)[0]
    output = root / "output"
    output.mkdir()
    stage.run(Work(output=output))
    with FrameStore(output) as store:
        shown = [index_of(store.read(row)) for row in range(len(store))]
        every = 25 if layout == "cholect50" else 5
        assert shown == [5 * row - 5 * row % every for row in range(len(shown))]
        first = 1 if layout == "m2cai16" else 0
        is_by_second = layout in ("autolaparo", "cholect50")
        seen = [TRUTH[index - index % 25 if is_by_second else index] + first for index in shown]
        assert store.labels.tolist()[2:] == seen[2:]


def test_videos_are_laid_out_once(root: Path):
    for layout in ("frames", "heichole"):
        lay_out(root / MADE, root, layout)
    image, video = root / "video01" / "000000.jpg", root / "Videos" / "Full" / "Hei-Chole1.mp4"
    times = image.stat().st_mtime_ns, video.stat().st_mtime_ns
    for layout in ("frames", "heichole"):
        lay_out(root / MADE, root, layout)
    assert (image.stat().st_mtime_ns, video.stat().st_mtime_ns) == times


def test_every_built_in_layout_can_be_made_and_no_other(tmp_path: Path):
    assert {"cholec80", *WRITERS} == set(BUILT_IN)
    with pytest.raises(InputError, match="layout 'ours' cannot be made: it has to be one of cholec80, m2cai16"):
        lay_out(tmp_path, tmp_path, "ours")
