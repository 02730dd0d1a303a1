from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainers.data.ingest.pictures import ImagePictures, VideoPictures
from trainers.data.ingest.samples import take
from trainers.data.ingest.stretches import Rule, Stretch, find_stretches
from trainers.data.ingest.video_file import read_timeline

Encode = Callable[..., Path]
RULE = Rule(shortest_seconds=4)
NUM_FRAMES = 400


def stretches(path: Path, *, every_second: bool = True) -> tuple[Stretch, ...]:
    timeline = read_timeline(path)
    length = timeline.num_frames / timeline.fps
    sampler, samples = take(VideoPictures.of(path, timeline), length if every_second else 61)
    return find_stretches(samples, sampler, length, RULE)


@pytest.mark.parametrize(("between_keys", "ending"), [("12", "mp4"), ("75", "mp4"), ("75", "ts")])
@pytest.mark.parametrize(("first", "stop"), [(103, 257), (0, 130), (287, NUM_FRAMES)])
def test_a_black_stretch_is_found_to_the_frame(
    tmp_path: Path, encode_video: Encode, first: int, stop: int, between_keys: str, ending: str
):
    dark: Callable[[int], bool] = lambda index: first <= index < stop  # noqa: E731
    video = encode_video(tmp_path / f"a.{ending}", NUM_FRAMES, dark=dark, options={"g": between_keys})
    for every_second in (True, False):
        (found,) = stretches(video, every_second=every_second)
        assert (found.kind, round(found.start * 25, 6), round(found.stop * 25, 6)) == ("black", first, stop)


def test_a_frozen_stretch_is_found_to_the_frame_although_a_clock_goes_on(
    tmp_path: Path, encode_frozen: Callable[[Path, int, int], Path]
):
    (found,) = stretches(encode_frozen(tmp_path / "a.mp4", 90, 260))
    assert found.kind == "frozen"
    assert (found.start, found.stop) == pytest.approx((90 / 25, 260 / 25), abs=0.081)


@pytest.fixture
def encode_frozen(paint_index: Callable[[int], np.ndarray]) -> Callable[[Path, int, int], Path]:
    """A video of moving stripes that stand still for a while, but for a small clock."""
    import av

    def encode(path: Path, first: int, stop: int) -> Path:
        ramp = np.arange(128)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"g": "50", "threads": "1"})
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
            for index in range(NUM_FRAMES):
                moved = first if first <= index < stop else index
                row = 128 + 90 * np.sin((ramp + 3 * moved) / 9)
                image = np.broadcast_to(row[None, :, None], (96, 128, 3)).astype(np.uint8).copy()
                image[2:6, 2:10] = 255 if index // 25 % 2 else 0
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return encode


def test_short_stretches_are_part_of_an_operation(tmp_path: Path, encode_video: Encode):
    video = encode_video(tmp_path / "a.mp4", NUM_FRAMES, dark=lambda index: 100 <= index < 190)
    assert stretches(video) == ()


def test_stretches_of_images_that_were_cut_out_are_found(tmp_path: Path):
    import cv2

    for second in range(30):
        level = 0 if 10 <= second < 20 else 120
        image = np.random.default_rng(second).integers(0, 2 * level + 1, (24, 32)).astype(np.uint8)
        image = cv2.resize(image, (128, 96), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(tmp_path / f"{second:03}.png"), image)
    images = tuple((float(path.stem), path) for path in sorted(tmp_path.glob("*.png")))
    sampler, samples = take(ImagePictures(images), 61)
    assert find_stretches(samples, sampler, 30, RULE) == (Stretch(kind="black", start=10, stop=20),)
