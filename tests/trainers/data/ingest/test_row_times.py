"""Row k shows the frame that a player shows at k / fps seconds, and has the label that is valid then."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from tests.trainers.data.ingest.ingested import NUM_FRAMES, ingest
from tests.trainers.data.timed_videos import Coding, copy_packets, pack, write
from trainers.data.frames import FrameStore

NTSC = Fraction(30000, 1001)
B_FRAMES = {"bf": "2", "preset": "veryfast"}
INTERVALS = "start,end,phase\n0,0.33,Preparation\n0.33,0.7,Dissection\n0.9,1.5,Closing\n"
CODINGS = {
    "mp4": Coding(options=B_FRAMES),
    "m4v": Coding(codec="mpeg4", container="mp4"),
    "mov": Coding(codec="mpeg4", options={"bf": "2"}),
    "mov of prores": Coding(codec="prores_ks"),
    "mp4 of hevc": Coding(codec="libx265", options={"x265-params": "log-level=none:pools=1:bframes=2"}),
    "mkv": Coding(options=B_FRAMES),
    "mkv of mpeg2": Coding(codec="mpeg2video", options={"bf": "2"}),
    "webm": Coding(codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    "avi": Coding(codec="mpeg4", options={"bf": "2"}),
    "avi of h264": Coding(options=B_FRAMES),
    "avi of mjpeg": Coding(codec="mjpeg"),
    "mpg": Coding(codec="mpeg2video", options={"bf": "2"}),
    "ts": Coding(options=B_FRAMES, container="mpegts"),
    "mts": Coding(codec="mpeg2video", container="mpegts"),
    "wmv": Coding(codec="wmv2"),
    "flv": Coding(options=B_FRAMES),
}


def shown_at(times: Sequence[Fraction], moment: Fraction) -> int:
    return max(number for number, time in enumerate(times) if time <= moment)


def label_at(moment: Fraction) -> int:
    spans = [("0", "0.33"), ("0.33", "0.7"), ("0.9", "1.5")]
    labels = (label for label, (start, end) in enumerate(spans) if Fraction(start) <= moment < Fraction(end))
    return next(labels, -1)


@pytest.mark.parametrize("rate", [Fraction(25), NTSC, Fraction(30), Fraction(50)], ids=["25", "29.97", "30", "50"])
@pytest.mark.parametrize("name", CODINGS)
def test_a_row_shows_what_a_player_shows_and_has_the_label_of_that_time(tmp_path: Path, name: str, rate: Fraction):
    coding = Coding(**{**vars(CODINGS[name]), "rate": rate})
    path = write(tmp_path / f"video.{name.split()[0].upper()}", NUM_FRAMES, coding)
    audit, shown, labels = ingest(path, tmp_path / "out", annotation=INTERVALS)
    moments = [Fraction(row, 10) for row in range(math.ceil(NUM_FRAMES / rate * 10))]
    assert shown == [math.floor(moment * rate) for moment in moments]
    assert labels == [label_at(moment) for moment in moments]
    assert audit["source_fps"] == pytest.approx(float(rate), abs=1e-5)
    assert audit["num_frames_video"] == NUM_FRAMES


OTHER_RATES = [
    *map(Fraction, (1, 5, 10, 12.5, 15, 24, 48, 60)),
    *(Fraction(rate, 1001) for rate in (15000, 24000, 60000)),
]


@pytest.mark.parametrize("rate", OTHER_RATES, ids=lambda rate: f"{float(rate):g}")
@pytest.mark.parametrize("name", ["mp4", "mkv", "avi", "ts"])
def test_videos_of_other_rates_show_and_tell_the_same(tmp_path: Path, name: str, rate: Fraction):
    test_a_row_shows_what_a_player_shows_and_has_the_label_of_that_time(tmp_path, name, rate)


@pytest.mark.parametrize(
    "rate", [24, Fraction(24000, 1001), 60, Fraction(60000, 1001)], ids=lambda rate: f"{float(rate):g}"
)
def test_videos_of_mpeg_show_and_tell_the_same(tmp_path: Path, rate: Fraction):
    test_a_row_shows_what_a_player_shows_and_has_the_label_of_that_time(tmp_path, "mpg", Fraction(rate))


def test_the_same_frames_in_other_containers_give_the_same_rows(tmp_path: Path):
    plain = write(tmp_path / "plain.mp4", NUM_FRAMES, Coding(rate=NTSC, options=B_FRAMES))
    _, *expected = ingest(plain, tmp_path / "plain", fps=25, annotation=INTERVALS)
    for ending in ("mkv", "mov", "ts", "flv"):
        path = copy_packets(plain, tmp_path / f"video.{ending}", container={"ts": "mpegts"}.get(ending))
        _, *found = ingest(path, tmp_path / ending, fps=25, annotation=INTERVALS)
        assert found == expected


def test_packed_b_frames_are_shown_in_order(tmp_path: Path):
    plain = write(tmp_path / "plain.avi", 31, Coding(codec="mpeg4", options={"bf": "1", "g": "300"}))
    _, shown, _ = ingest(pack(plain, tmp_path / "video.avi"), tmp_path / "out", fps=25)
    assert shown == list(range(31))


@pytest.mark.parametrize("fps", [1, 5, 7, 12.5, 24, 25])
def test_any_rate_of_rows_up_to_25_is_served(tmp_path: Path, fps: float):
    path = write(tmp_path / "video.mp4", NUM_FRAMES, Coding(rate=NTSC))
    _, shown, _ = ingest(path, tmp_path / "out", fps=fps)
    moments = [row / Fraction(fps) for row in range(math.ceil(NUM_FRAMES / NTSC * Fraction(fps)))]
    assert shown == [math.floor(moment * NTSC) for moment in moments]
    with FrameStore(tmp_path / "out") as store:
        assert store.frames.tolist() == [math.floor(moment * 25 + Fraction(1, 2)) for moment in moments]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_frames_at_varying_times_are_taken_by_their_time(tmp_path: Path, ending: str):
    ticks = [0, 20, 90, 130, 400, 410, 420, 900, 1000, 1033, 1070]
    path = write(tmp_path / f"video.{ending}", ticks, Coding(rate=Fraction(1000), options={"bf": "2"}))
    audit, shown, _ = ingest(path, tmp_path / "out")
    times = [Fraction(tick, 1000) for tick in ticks]
    assert shown == [shown_at(times, Fraction(row, 10)) for row in range(len(shown))]
    assert len(shown) == 11
    assert audit["warnings"] == ["frames come at varying times, 10 to 480 ms apart"]


@pytest.mark.parametrize("offset", [-9_000, 126_000, 2**33 - 60_000], ids=["before 0", "late", "around the wrap"])
def test_time_begins_at_the_first_frame_whatever_its_time_stamp_is(tmp_path: Path, offset: int):
    plain = write(tmp_path / "plain.mp4", NUM_FRAMES, CODINGS["mp4"])
    path = copy_packets(plain, tmp_path / "video.ts", offset=offset, container="mpegts", options={"mpegts_copyts": "1"})
    _, shown, _ = ingest(path, tmp_path / "out")
    assert shown == [math.floor(row * 2.5) for row in range(18)]
