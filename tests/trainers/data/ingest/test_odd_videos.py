"""Videos that are odd: cut, turned, interlaced, of several streams or sizes, damaged."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.data.conftest import paint, read_index
from tests.trainers.data.ingest.ingested import NUM_FRAMES, ingest
from tests.trainers.data.timed_videos import Coding, copy_packets, turn, write, write_sizes, write_streams
from trainers.data.frames import FrameStore
from trainers.data.ingest.decoding import Seen, read_numbered
from trainers.data.ingest.passing import passing_pictures
from trainers.data.ingest.pictures import VideoPictures
from trainers.data.ingest.video_file import read_timeline
from trainers.stage import InputError


def test_frames_that_an_edit_list_hides_are_not_shown_although_others_need_them(tmp_path: Path):
    path = write(tmp_path / "video.mp4", range(-10, 40), Coding(options={"g": "100"}))
    audit, shown, _ = ingest(path, tmp_path / "out", fps=25)
    assert shown == list(range(10, 50))
    assert audit["warnings"] == ["10 frames in the file are not shown, as its edit list says"]


def test_a_recording_that_starts_between_two_key_frames_begins_with_the_first_that_can_be_decoded(tmp_path: Path):
    plain = write(tmp_path / "plain.ts", NUM_FRAMES, Coding(container="mpegts"))
    path = copy_packets(plain, tmp_path / "video.ts", first=5, container="mpegts")
    audit, shown, _ = ingest(path, tmp_path / "out", fps=25)
    assert shown == list(range(12, NUM_FRAMES))
    assert audit["warnings"] == ["7 frames before the first that can be decoded are left out"]


def test_of_several_video_streams_the_first_is_read_and_said_so(tmp_path: Path):
    path = write_streams(tmp_path / "video.mkv", [(128, 96), (64, 48)], NUM_FRAMES)
    audit, shown, _ = ingest(path, tmp_path / "out", fps=25)
    assert shown == list(range(NUM_FRAMES))
    assert audit["warnings"] == ["2 video streams, of which the first is read"]
    with passing_pictures(path) as passing:
        timeline = read_timeline(path, see=passing.see)
    pictures = VideoPictures.of(path, timeline, passing.taken)
    assert (
        {image.shape for _, image in pictures.apart(1)}
        == {image.shape for _, image in pictures.keys(0, 9)}
        == {(96, 128)}
    )


def test_time_stamps_that_begin_again_are_refused(tmp_path: Path):
    first, second = (write(tmp_path / f"{name}.ts", 100, Coding(container="mpegts")) for name in "ab")
    path = tmp_path / "video.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(InputError, match=r"video\.ts goes back in time at frame 100, from \d\.\d+ s to \d\.\d+ s, as"):
        ingest(path, tmp_path / "out")


def test_a_frame_that_would_be_shown_for_hours_is_refused(tmp_path: Path):
    path = write(tmp_path / "video.mkv", [0, 40, 80, 5_000_000], Coding(rate=Fraction(1000)))
    with pytest.raises(InputError, match=r"video\.mkv shows frame 2 at 0\.08 s and the next one 4999\.92 s later: cut"):
        ingest(path, tmp_path / "out")


def test_the_frame_before_stands_for_one_that_is_not_decoded_for_a_second_at_most(tmp_path: Path):
    path = write(tmp_path / "video.mp4", 30)
    timeline, seen = read_timeline(path), Seen()
    tick = timeline.shown[10] + 1  # as the second field of a frame may have a packet of its own
    more = replace(timeline, shown=np.insert(timeline.shown, 11, tick))
    images = dict(read_numbered(path, more, [10, 11, 12], threads=1, seen=seen))
    assert [read_index(image) for image in images.values()] == [10, 10, 11]
    assert seen.num_substitutes == 1
    late = replace(timeline, shown=np.append(timeline.shown, timeline.shown[-1] + 2 * 12_800))
    with pytest.raises(InputError, match=r"video\.mp4 is damaged: frame 30 cannot be decoded; copy it again"):
        list(read_numbered(path, late, [30], threads=1, seen=seen))


TURNS: dict[str, tuple[tuple[int, int, int, int], Callable[[np.ndarray], np.ndarray]]] = {
    "by 90° clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, 1)),
    "by 180°": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "by 90° counterclockwise": ((0, -1, 1, 0), lambda image: np.rot90(image, -1)),
    "left to right": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "by 90° clockwise, left to right": ((0, 1, 1, 0), lambda image: np.rot90(image[:, ::-1], 1)),
    "by 90° counterclockwise, left to right": ((0, -1, -1, 0), lambda image: np.rot90(image[:, ::-1], -1)),
}


@pytest.mark.parametrize("said", TURNS)
def test_frames_are_turned_as_players_turn_them(tmp_path: Path, said: str):
    matrix, back = TURNS[said]
    path = turn(write(tmp_path / "video.mp4", 20, picture=lambda number: back(paint(number))), matrix)
    audit, shown, _ = ingest(path, tmp_path / "out", fps=25)
    assert shown == list(range(20))
    assert (audit["width_px"], audit["height_px"]) == (128, 96)
    assert audit["warnings"] == [f"turned {said}, as its display matrix says"]


@pytest.mark.parametrize("sizes", [[(128, 96), (256, 192)], [(256, 192), (128, 96)], [(128, 96), (64, 48), (192, 96)]])
def test_a_resolution_that_changes_is_scaled_to_the_first(tmp_path: Path, sizes: list[tuple[int, int]]):
    path = write_sizes(tmp_path / "video.ts", sizes, 20)
    audit, shown, _ = ingest(path, tmp_path / "out", fps=5)
    assert shown == list(range(0, 20 * len(sizes), 5))
    assert audit["warnings"] == [
        f"the resolution changes from {before[0]}×{before[1]} to {after[0]}×{after[1]} px "
        f"at frame {20 * part} ({0.8 * part:.2f} s): all frames are scaled to {sizes[0][0]}×{sizes[0][1]} px"
        for part, (before, after) in enumerate(pairwise(sizes), start=1)
    ]


def moving_edge(number: int) -> np.ndarray:
    """Two fields, each at its own time, of an edge that moves by 16 pixels from field to field."""
    image = np.full((96, 128, 3), 60, np.uint8)
    image[0::2, (32 * number) % 96 :] = 200
    image[1::2, (32 * number + 16) % 96 :] = 200
    return image


@pytest.mark.parametrize(
    "coding",
    [
        Coding(options={"x264-params": "tff=1"}),
        Coding(options={"x264-params": "bff=1"}),
        Coding(codec="mpeg2video", options={"flags": "+ildct+ilme", "field_order": "tt"}),
    ],
    ids=["top first", "bottom first", "mpeg2"],
)
def test_interlaced_frames_are_deinterlaced(tmp_path: Path, coding: Coding):
    ending = "mp4" if coding.codec == "libx264" else "mpg"
    audit, shown, _ = ingest(write(tmp_path / f"video.{ending}", 30, coding), tmp_path / "out", fps=25)
    assert shown == list(range(30))
    assert audit["warnings"] == ["interlaced, so its frames are deinterlaced"]
    combed = write(tmp_path / f"moving.{ending}", 12, coding, moving_edge)
    ingest(combed, tmp_path / "moving", fps=25, cut_margins=False)
    with FrameStore(tmp_path / "moving") as store:
        rows = [store.read(row)[..., 0].astype(int) for row in range(len(store))]
    assert max(np.abs(np.diff(row, axis=0)).mean() for row in rows) < 3


@pytest.mark.parametrize(
    "tail", [b"x", b"\0" * 7, b"\0" * 300, b"garbage of 30 bytes or so .....", b"\0\0\0\x08free", b"\0\0\x08\0freexx"]
)
def test_bytes_after_the_last_box_are_left_out(tmp_path: Path, tail: bytes):
    path = write(tmp_path / "video.mp4", 10)
    path.write_bytes(path.read_bytes() + tail)
    audit, shown, _ = ingest(path, tmp_path / "out", fps=25)
    assert shown == list(range(10))
    is_whole_box = tail == b"\0\0\0\x08free"
    assert audit["warnings"] == ([] if is_whole_box else [f"{len(tail)} bytes after the end of the video are left out"])


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_that_is_cut_off_is_refused_in_any_container_that_tells_its_length(
    tmp_path: Path, ending: str, kept: float
):
    path = write(tmp_path / f"video.{ending}", 20)
    content = path.read_bytes()
    path.write_bytes(content[: round(kept * len(content))])
    with pytest.raises(InputError, match=rf"video\.{ending} is truncated, \d+ of \d+ bytes long: copy it again"):
        ingest(path, tmp_path / "out")
