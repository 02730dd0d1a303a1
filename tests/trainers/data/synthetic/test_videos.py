"""Synthetic operations: real files in Cholec80's layout, the same ones every time, and patients that differ."""

import hashlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from trainers.data.datasets.cholec80 import PHASES
from trainers.data.synthetic import videos
from trainers.data.synthetic.operation import CLOSINGS, OBLIGATORY, PREPARATION, TOOLS
from trainers.data.synthetic.scene import Scene
from trainers.data.synthetic.videos import Parameters, plan_operation, synthesize, synthesize_video
from trainers.stage import InputError

SMALL = {"minutes": 0.05, "seed": 3, "width": 96, "height": 64}
PARAMETERS = Parameters(**SMALL)


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def digests(root: Path) -> dict[str, str]:
    """The content of every file, by its path under `root`."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    synthesize(root, num_videos=3, **SMALL)
    return root


def test_a_video_has_the_size_rate_and_length_that_its_annotations_say(dataset: Path) -> None:
    for number in (1, 2, 3):
        with av.open(str(dataset / f"videos/video{number:02d}.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.average_rate) == (96, 64, 25)
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            num_frames = sum(1 for _ in container.decode(stream))
        rows = (dataset / f"phase_annotations/video{number:02d}-phase.txt").read_text().splitlines()
        assert rows[0] == "Frame\tPhase"
        assert [int(row.split("\t")[0]) for row in rows[1:]] == list(range(num_frames))
        assert {row.split("\t")[1] for row in rows[1:]} <= set(PHASES)


def test_tools_and_timestamps_have_a_row_every_second(dataset: Path) -> None:
    num_frames = plan_operation(2, PARAMETERS)[0][-1].stop
    header, *rows = (dataset / "tool_annotations/video02-tool.txt").read_text().splitlines()
    assert header.split("\t") == ["Frame", *TOOLS]
    assert [int(row.split("\t")[0]) for row in rows] == list(range(0, num_frames, 25))
    assert {cell for row in rows for cell in row.split("\t")[1:]} == {"0", "1"}
    clock = (dataset / "videos/video02-timestamp.txt").read_text().splitlines()
    assert clock[:3] == ["frame\ttime", "0\t00:00:00.00", "25\t00:00:01.00"]
    assert len(clock) == len(rows) + 1


def test_videos_do_not_depend_on_how_many_are_made_or_by_how_many_processes(dataset: Path, tmp_path: Path) -> None:
    synthesize(tmp_path, num_videos=2, num_processes=2, **SMALL)
    made = digests(tmp_path)
    assert len(made) == 2 * 4 + 1
    assert made == {path: digest for path, digest in digests(dataset).items() if path in made}


def test_another_seed_makes_other_videos(dataset: Path, tmp_path: Path) -> None:
    synthesize(tmp_path, num_videos=1, **{**SMALL, "seed": 4})
    mine, other = decoded(tmp_path / "videos/video01.mp4"), decoded(dataset / "videos/video01.mp4")
    assert np.abs(mine[:40].astype(int) - other[:40]).mean() > 10


def test_an_interrupted_run_goes_on_where_it_stopped(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def fails_at_the_second(root: Path, number: int, parameters: Parameters) -> None:
        made.append(number)
        if len(made) == 2:
            raise KeyboardInterrupt
        synthesize_video(root, number, parameters)

    monkeypatch.setattr(videos, "synthesize_video", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path, num_videos=3, **SMALL)
    reported: list[int] = []
    synthesize(tmp_path, num_videos=3, report=reported.append, **SMALL)
    assert made == [1, 2, 2, 3]
    assert reported == [1, 2, 3]
    assert digests(tmp_path) == digests(dataset)


def test_a_video_whose_encoding_fails_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Scene, index: int) -> np.ndarray:
        if index == 5:
            raise OSError("disk full")
        return np.zeros((64, 96, 3), np.uint8)

    monkeypatch.setattr(Scene, "frame", breaks)
    with pytest.raises(OSError, match="disk full"):
        synthesize(tmp_path, num_videos=1, **SMALL)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"synthetic.json"}


def test_a_folder_is_extended_but_never_mixed(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(dataset, root)
    before = digests(root)
    synthesize(root, num_videos=3, **SMALL)
    assert digests(root) == before
    with pytest.raises(InputError, match=r"copy holds videos made with seed 3 \(asked: 4\)"):
        synthesize(root, num_videos=3, **{**SMALL, "seed": 4})
    (root / "synthetic.json").unlink()
    with pytest.raises(InputError, match="holds videos that were not made here"):
        synthesize(root, num_videos=3, **SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_videos": 0}, "num_videos is 0"),
        ({"minutes": 0.0}, r"minutes is 0\.0"),
        ({"width": 97}, "width is 97"),
        ({"height": 20}, "height is 20"),
    ],
)
def test_impossible_parameters_are_named(tmp_path: Path, change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        synthesize(tmp_path, **{"num_videos": 1, **SMALL, **change})


def test_every_operation_follows_a_possible_course() -> None:
    endings = {closing for _, closing in CLOSINGS}
    for number in range(1, 200):
        segments, uses = plan_operation(number, PARAMETERS)
        order = tuple(segment.phase for segment in segments)
        begun = order[1:] if order[0] == PREPARATION else order
        assert begun[:3] == OBLIGATORY
        assert begun[3:] in endings
        assert segments[0].start == 0
        assert all(a.stop == b.start for a, b in itertools.pairwise(segments))
        assert all(segment.stop > segment.start for segment in segments)
        assert all(any(s.start <= use.start < use.stop <= s.stop for s in segments) for use in uses)


def test_long_phases_are_long_and_durations_vary() -> None:
    lengths: dict[str, list[int]] = {phase: [] for phase in PHASES}
    totals = []
    for number in range(1, 100):
        segments, _ = plan_operation(number, Parameters(minutes=10, seed=0, width=96, height=64))
        totals.append(segments[-1].stop / 25 / 60)
        for segment in segments:
            lengths[segment.phase].append(segment.stop - segment.start)
    means = {phase: np.mean(frames) for phase, frames in lengths.items()}
    assert sorted(means, key=lambda phase: -means[phase])[:2] == [OBLIGATORY[0], OBLIGATORY[2]]
    assert 7.5 <= min(totals) < 8.5
    assert 11.5 < max(totals) <= 12.5
    assert len(lengths[PREPARATION]) < 99


def test_graspers_are_seen_in_every_phase_and_some_moments_show_no_instrument() -> None:
    with_grasper: set[str] = set()
    num_empty = 0
    for number in range(1, 40):
        segments, uses = plan_operation(number, Parameters(minutes=1, seed=0, width=96, height=64))
        with_grasper |= {use.phase for use in uses if use.tool == "Grasper"}
        num_empty += sum(not any(use.start <= frame < use.stop for use in uses) for frame in range(segments[-1].stop))
    assert with_grasper == set(PHASES)
    assert num_empty > 0


def test_patients_differ_far_more_than_the_frames_of_one_patient() -> None:
    """The mean colour of one phase varies at least twice as much between videos as within them."""
    colours = []
    for number in range(1, 9):
        segments, uses = plan_operation(number, PARAMETERS)
        segment = next(segment for segment in segments if segment.phase == OBLIGATORY[0])
        scene = Scene(PARAMETERS.seed, number, 96, 64, segments, uses)
        indices = np.linspace(segment.start, segment.stop - 1, 5).astype(int)
        colours.append([scene.frame(int(index)).mean(axis=(0, 1)) for index in indices])
    within = np.std(colours, axis=1).mean()
    between = np.mean(colours, axis=1).std(axis=0).mean()
    assert between > 2 * within


def test_a_frame_does_not_depend_on_which_frames_were_drawn_before() -> None:
    segments, uses = plan_operation(5, PARAMETERS)
    forwards, backwards = (Scene(PARAMETERS.seed, 5, 96, 64, segments, uses) for _ in range(2))
    indices = range(0, segments[-1].stop, 9)
    seen = {index: forwards.frame(index) for index in indices}
    for index in reversed(indices):
        np.testing.assert_array_equal(backwards.frame(index), seen[index])


def test_videos_are_made_and_read_without_torch():
    """Every process of a pool would take a second more to start."""
    code = "import sys, trainers.data.synthetic.videos, trainers.data.ingest.video; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
