import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from trainers.data.frames import FILE_NAME, FrameStore
from trainers.data.ingest.decoding import read_frames
from trainers.data.ingest.video import REPORTED_EVERY, Video
from trainers.data.ingest.video_file import read_timeline
from trainers.stage import InputError, Progress, Report, Resources, Work

PHASES = ("Preparation", "CalotTriangleDissection", "ClippingCutting")
Encode = Callable[..., Path]
IndexOf = Callable[[np.ndarray], int]


def video(path: Path, annotation: Path | None = None, **changes: object) -> Video:
    stage = Video(
        name=path.stem,
        video_digest="ab" * 16,
        annotation_digest=None if annotation is None else "cd" * 16,
        phases=PHASES,
        size_px=96,
        video_path=path,
        annotation_path=annotation,
    )
    return replace(stage, **changes)


def annotate(path: Path, num_frames: int) -> Path:
    rows = [f"{frame}\t{PHASES[frame * len(PHASES) // num_frames]}\n" for frame in range(num_frames)]
    path.write_text("Frame\tPhase\n" + "".join(rows))
    return path


def run(stage: Video, folder: Path, **work: object) -> dict[str, object]:
    folder.mkdir(exist_ok=True)
    stage.run(Work(output=folder, **work))
    return json.loads((folder / "audit.json").read_text())


def stored_indices(folder: Path, index_of: IndexOf) -> tuple[list[int], list[int]]:
    """What the rows say they are, and what their images show."""
    with FrameStore(folder) as store:
        return store.frames.tolist(), [index_of(store.read(row)) for row in range(len(store))]


def test_a_video_too_small_to_show_anything_is_refused(tmp_path: Path):
    with av.open(str(tmp_path / "video01.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 2, 2, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((2, 2, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(InputError, match=r"video01\.mp4 has frames of 2×2 px: give a recording of at least 16 pixels"):
        run(video(tmp_path / "video01.mp4"), tmp_path / "out")


def test_every_fifth_frame_is_stored_with_its_phase(tmp_path: Path, encode_video: Encode, index_of: IndexOf):
    path = encode_video(tmp_path / "video01.mp4", 93)
    audit = run(video(path, annotate(tmp_path / "video01-phase.txt", 93)), tmp_path / "out")
    named, shown = stored_indices(tmp_path / "out", index_of)
    assert named == shown == list(range(0, 93, 5))
    with FrameStore(tmp_path / "out") as store:
        assert store.labels.tolist() == [frame * 3 // 93 for frame in named]
        assert store.label_names == PHASES
        assert store.source == "ab" * 16
        assert store.read(0).shape == (96, 96, 3)
    assert audit == {
        "video": "video01",
        "source_fps": 25.0,
        "width_px": 128,
        "height_px": 96,
        "num_frames_video": 93,
        "num_frames_annotation": 93,
        "num_frames_cut": 0,
        "num_rows": 19,
        "margins": {"left": 0, "top": 0, "right": 0, "bottom": 0},
        "phases": dict.fromkeys(PHASES, 31),
        "warnings": [],
    }


@pytest.mark.parametrize(("fps", "step"), [(25, 1), (12.5, 2), (1, 25)])
def test_rows_are_stored_at_the_rate_asked_for(
    tmp_path: Path, encode_video: Encode, index_of: IndexOf, fps: float, step: int
):
    path = encode_video(tmp_path / "video01.mp4", 60)
    run(video(path, fps=fps), tmp_path / "out")
    named, shown = stored_indices(tmp_path / "out", index_of)
    assert named == shown == list(range(0, 60, step))


@pytest.mark.parametrize(
    "options",
    [
        {"bf": "0"},
        {"bf": "3", "b-pyramid": "normal", "refs": "4"},
        {"x264-params": "open-gop=1:bframes=3:b-adapt=0"},
        {"x264-params": "interlaced=1"},
    ],
    ids=["no B-frames", "B-frames as references", "open groups", "interlaced"],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_skipping_unwanted_frames_leaves_the_wanted_ones_as_they_are(
    tmp_path: Path, encode_video: Encode, options: dict[str, str], threads: int
):
    path = encode_video(tmp_path / "video01.mp4", 77, options=options)
    timeline = read_timeline(path)
    everything = dict(read_frames(path, timeline, range(77), threads=1))
    wanted = dict(read_frames(path, timeline, range(3, 77, 5), threads=threads))
    assert len(everything) == 77
    assert list(wanted) == list(range(3, 77, 5))
    assert all(np.array_equal(image, everything[index]) for index, image in wanted.items())


def test_a_video_without_annotation_is_unlabelled(tmp_path: Path, encode_video: Encode):
    audit = run(video(encode_video(tmp_path / "video01.mp4", 30)), tmp_path / "out")
    with FrameStore(tmp_path / "out") as store:
        assert store.labels.tolist() == [-1] * 6
    assert audit["num_frames_annotation"] is None
    assert audit["phases"] == {}


@pytest.mark.parametrize(("num_annotated", "shared"), [(70, 70), (85, 77), (102, 77)])
def test_lengths_up_to_a_second_apart_are_cut_to_the_shorter_and_reported(
    tmp_path: Path,
    encode_video: Encode,
    index_of: IndexOf,
    capsys: pytest.CaptureFixture[str],
    num_annotated: int,
    shared: int,
):
    annotation = annotate(tmp_path / "phase.txt", num_annotated)
    audit = run(video(encode_video(tmp_path / "video07.mp4", 77), annotation), tmp_path / "out")
    named, shown = stored_indices(tmp_path / "out", index_of)
    assert named == shown == list(range(0, shared, 5))
    warning = f"77 frames but {num_annotated} annotated ones: both cut to {shared}"
    assert audit["warnings"] == [warning]
    assert audit["num_frames_cut"] == abs(num_annotated - 77)
    assert sum(audit["phases"].values()) == shared
    assert capsys.readouterr().out == f"video07: {warning}\n"


@pytest.mark.parametrize("num_annotated", [51, 103])
def test_lengths_more_than_a_second_apart_are_refused(tmp_path: Path, encode_video: Encode, num_annotated: int):
    annotation = annotate(tmp_path / "phase.txt", num_annotated)
    stage = video(encode_video(tmp_path / "video07.mp4", 77), annotation)
    with pytest.raises(InputError, match=rf"^video07 has 77 frames but {num_annotated} annotated ones, .*: make sure"):
        run(stage, tmp_path / "out")


def test_another_frame_rate_is_reported(tmp_path: Path, encode_video: Encode, index_of: IndexOf):
    audit = run(video(encode_video(tmp_path / "video01.mp4", 60, rate=30)), tmp_path / "out")
    assert audit["source_fps"] == 30
    assert audit["warnings"] == ["30.000 fps instead of 25, so rows are stored at 6.000 fps"]
    named, shown = stored_indices(tmp_path / "out", index_of)
    assert named == shown


def test_frames_keep_their_index_where_the_video_skips_some(tmp_path: Path, encode_video: Encode, index_of: IndexOf):
    present = [index for index in range(100) if index not in {8, 20, 21, 22}]
    audit = run(video(encode_video(tmp_path / "video01.mp4", present)), tmp_path / "out")
    named, shown = stored_indices(tmp_path / "out", index_of)
    assert named == shown == [index for index in range(0, 100, 5) if index != 20]
    assert audit["num_frames_video"] == 100
    assert audit["warnings"] == ["4 frames are missing in the video, 1 of which would have been rows"]


def test_irregular_frame_times_are_refused(tmp_path: Path, encode_video: Encode):
    path = encode_video(tmp_path / "video01.mp4", [*range(50), *range(90, 120)])
    with pytest.raises(
        InputError, match=r"video01\.mp4 shows its frames at irregular times \(40 missing and 0 too many"
    ):
        run(video(path), tmp_path / "out")


def test_black_margins_are_cut_although_most_frames_are_dark(tmp_path: Path, encode_video: Encode, index_of: IndexOf):
    path = encode_video(tmp_path / "video01.mp4", 200, margins=(20, 8, 36, 0), dark=lambda index: index % 90 > 20)
    audit = run(video(path), tmp_path / "out")
    found = audit["margins"]
    assert np.allclose([found[side] for side in ("left", "top", "right", "bottom")], [20, 8, 36, 0], atol=1)
    named, shown = stored_indices(tmp_path / "out", index_of)
    lit = [row for row, index in enumerate(named) if index % 90 <= 20]
    assert [shown[row] for row in lit] == [named[row] for row in lit]


def test_margins_are_kept_on_request(tmp_path: Path, encode_video: Encode):
    path = encode_video(tmp_path / "video01.mp4", 30, margins=(64, 0, 64, 0))
    audit = run(video(path, cut_margins=False), tmp_path / "out")
    assert set(audit["margins"].values()) == {0}
    with FrameStore(tmp_path / "out") as store:
        assert store.read(0)[:, :20].max() < 10


def test_a_video_too_dark_to_tell_keeps_its_margins_and_is_reported(tmp_path: Path, encode_video: Encode):
    audit = run(video(encode_video(tmp_path / "video01.mp4", 30, dark=lambda index: True)), tmp_path / "out")
    assert set(audit["margins"].values()) == {0}
    assert audit["warnings"] == ["too dark to find its margins, so none are cut"]


@pytest.mark.parametrize("faststart", [False, True])
def test_a_truncated_video_is_refused(tmp_path: Path, encode_video: Encode, faststart: bool):
    options = {"movflags": "faststart"} if faststart else {}
    path = encode_video(tmp_path / "video03.mp4", 60, container_options=options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"video03\.mp4 is truncated, \d+ of \d+ bytes long: copy it again from its"):
        run(video(path), tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty: copy it again"),
        (b"404 Not Found\n", r"is not a video \(mp4, mov, .*\): put the video itself"),
        (b"\0\0\0\x08ftyp", r"is damaged \(.+\): copy it again"),
    ],
)
def test_a_file_that_is_no_video_is_refused(tmp_path: Path, content: bytes, complaint: str):
    path = tmp_path / "video03.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"video03\.mp4 {complaint}"):
        run(video(path), tmp_path / "out")


def test_a_missing_video_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"video03\.mp4 does not exist: put the video back"):
        run(video(tmp_path / "video03.mp4"), tmp_path / "out")


def test_frames_that_cannot_be_decoded_are_refused(tmp_path: Path, encode_video: Encode):
    path = encode_video(tmp_path / "video03.mp4", 200)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start : start + 6000] = bytes(6000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"video03\.mp4 is damaged \(.+\): copy it again from its source"):
        run(video(path), tmp_path / "out")


def test_the_same_video_gives_the_same_bytes_whatever_was_left_behind_and_however_many_threads(
    tmp_path: Path, encode_video: Encode
):
    stage = video(encode_video(tmp_path / "video01.mp4", 60))
    run(stage, tmp_path / "first")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / FILE_NAME).write_bytes(b"half a store" * 100_000)
    run(stage, tmp_path / "second", resources=Resources(threads=2))
    for name in (FILE_NAME, "audit.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_progress_is_reported(tmp_path: Path, encode_video: Encode):
    reports: list[Report] = []
    num_frames = 2 * REPORTED_EVERY + 3
    path = encode_video(tmp_path / "video01.mp4", num_frames, options={"preset": "ultrafast"})
    run(video(path, fps=25), tmp_path / "out", listener=reports.append)
    assert reports == [Progress(fraction=count / num_frames) for count in (REPORTED_EVERY, 2 * REPORTED_EVERY)]


def test_where_a_recording_lies_is_no_part_of_what_it_is(tmp_path: Path):
    here = video(tmp_path / "video01.mp4", tmp_path / "phase.txt")
    there = replace(here, video_path=Path("elsewhere.mp4"), annotation_path=Path("elsewhere.txt"))
    assert here == there
    assert here != replace(here, video_digest="ef" * 16)


def test_the_cost_grows_with_the_recording_and_needs_no_file(tmp_path: Path):
    unknown = video(tmp_path / "gone.mp4")
    short, long = (replace(unknown, num_source_frames=length) for length in (20, 80))
    assert 0 < short.expected_seconds() < long.expected_seconds() < unknown.expected_seconds()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fps": 4.0}, "fps is 4, which does not divide 25"),
        ({"fps": 0.0}, "fps is 0.0: it must be above 0"),
        ({"fps": 50.0}, "fps is 50, which"),
        ({"fps": 50.0, "timing": "seconds"}, "fps is 50: give at most 25 rows per second"),
        ({"size_px": 0}, "size_px is 0: it must be at least 1"),
    ],
)
def test_rates_and_sizes_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object], complaint: str):
    with pytest.raises(InputError, match=complaint):
        video(tmp_path / "video01.mp4", **changes)
