"""Colours, depths and sizes of frames as they reach the rows."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from tests.trainers.data.conftest import paint, read_index
from tests.trainers.data.timed_videos import Coding, write
from trainers.data.frames import FrameStore
from trainers.data.ingest.video import Video
from trainers.stage import Work

RED = (200, 40, 90)
MATRICES = {"BT.601": (Colorspace.ITU601, 0.299, 0.114), "BT.709": (Colorspace.ITU709, 0.2126, 0.0722)}


def rows(path: Path, folder: Path, **changes: object) -> tuple[dict, list[np.ndarray]]:
    stage = Video(
        name="video",
        video_digest="ab" * 16,
        annotation_digest=None,
        phases=("Phase",),
        timing="seconds",
        fps=25,
        size_px=96,
        video_path=path,
        annotation_path=None,
        **changes,
    )
    folder.mkdir()
    stage.run(Work(output=folder))
    with FrameStore(folder) as store:
        return json.loads((folder / "audit.json").read_text()), [store.read(row) for row in range(len(store))]


def coded(matrix: str, limits: ColorRange) -> list[int]:
    """Y, Cb and Cr of `RED` by the formulas of the standards."""
    _, k_red, k_blue = MATRICES[matrix]
    red, green, blue = (value / 255 for value in RED)
    y = k_red * red + (1 - k_red - k_blue) * green + k_blue * blue
    cb, cr = (blue - y) / (2 * (1 - k_blue)), (red - y) / (2 * (1 - k_red))
    is_full = limits == ColorRange.JPEG
    scales = ((255, 0), (255, 128), (255, 128)) if is_full else ((219, 16), (224, 128), (224, 128))
    return [round(value * scale + offset) for value, (scale, offset) in zip((y, cb, cr), scales, strict=True)]


def write_colour(path: Path, matrix: str, limits: ColorRange, options: dict[str, str] | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "1", "threads": "1", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = MATRICES[matrix][0], limits
        for number in range(25):
            frame = av.VideoFrame(128, 96, "yuv420p")
            for plane, value in zip(frame.planes, coded(matrix, limits), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.colorspace, frame.color_range = MATRICES[matrix][0], limits
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("limits", [ColorRange.MPEG, ColorRange.JPEG], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_a_colour_is_converted_by_the_matrix_and_range_it_was_coded_with(
    tmp_path: Path, matrix: str, limits: ColorRange, ending: str
):
    _, images = rows(write_colour(tmp_path / f"video.{ending}", matrix, limits), tmp_path / "out")
    assert np.abs(images[1].astype(int) - RED).max() <= 4


def test_deinterlaced_frames_keep_their_matrix(tmp_path: Path):
    path = write_colour(tmp_path / "video.mp4", "BT.709", ColorRange.MPEG, {"x264-params": "tff=1"})
    audit, images = rows(path, tmp_path / "out")
    assert audit["warnings"] == ["interlaced, so its frames are deinterlaced"]
    assert np.abs(images[1].astype(int) - RED).max() <= 4


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "ending", "said"),
    [
        ("libx264", "yuv420p10le", "mp4", []),
        ("libx264", "yuv444p", "mkv", []),
        ("libx264", "gray", "mp4", []),
        ("ffv1", "gray16le", "mkv", []),
        ("ffv1", "yuv422p12le", "mkv", []),
        ("png", "rgba", "mov", ["transparency is left out"]),
        ("prores_ks", "yuva444p10le", "mov", ["transparency is left out"]),
    ],
)
def test_every_depth_is_read(tmp_path: Path, codec: str, pix_fmt: str, ending: str, said: list[str]):
    path = write(tmp_path / f"video.{ending}", 12, Coding(codec=codec, pix_fmt=pix_fmt))
    audit, images = rows(path, tmp_path / "out")
    assert [read_index(image) for image in images] == list(range(12))
    assert audit["warnings"] == said


def test_odd_sizes_are_read(tmp_path: Path):
    coding = Coding(codec="libx264", pix_fmt="yuv444p")
    path = write(tmp_path / "video.mp4", 12, coding, lambda number: paint(number)[:95, :127])
    audit, images = rows(path, tmp_path / "out")
    assert [read_index(image) for image in images] == list(range(12))
    assert (audit["width_px"], audit["height_px"]) == (127, 95)


def test_pixels_that_are_not_square_are_said(tmp_path: Path):
    path = write(tmp_path / "video.mp4", 12, Coding(codec="mpeg4", pixel_aspect=Fraction(16, 15)))
    audit, _ = rows(path, tmp_path / "out")
    assert audit["warnings"] == ["pixels are not square (16:15)"]
