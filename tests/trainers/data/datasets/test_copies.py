from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.trainers.data.datasets.recoded import recode
from trainers.data.datasets.copies import NUM_BITS, Sampled, differences, hashes_of, is_copy
from trainers.data.ingest.pictures import ImagePictures, TimedImage, VideoPictures
from trainers.data.ingest.samples import SIDE_PX, take
from trainers.data.ingest.video_file import read_timeline
from trainers.data.synthetic.videos import synthesize

NUM_VIDEOS = 4


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short operations of one generator: alike, and none a copy of another."""
    root = tmp_path_factory.mktemp("operations")
    synthesize(root, num_videos=NUM_VIDEOS, minutes=0.2, width=160, height=96)
    return sorted((root / "videos").glob("*.mp4"))


def sampled(path: Path) -> Sampled:
    timeline = read_timeline(path)
    length = timeline.num_frames / timeline.fps
    sampler, samples = take(VideoPictures.of(path, timeline), length)
    return Sampled(digest=str(path), seconds=length, samples=samples, sampler=lambda: sampler)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scale": (0.5, 0.5)},
        {"scale": (1.5, 1.2)},
        {"cropped": (0.1, 0.1, 0.1, 0.1)},
        {"cropped": (0.16, 0, 0, 0.12), "scale": (0.75, 0.75)},
        {"cropped": (0.22, 0, 0.22, 0)},
        {"margin_px": 20},
        {"rate": 30},
        {"starts_at": 60},
        {"changed": lambda index, frames: np.clip(frames[index] * 1.25, 0, 255).astype(np.uint8)},
    ],
    ids=lambda changes: "-".join(changes) or "encoded again",
)
def test_a_copy_is_known_again_and_no_other_operation_is_taken_for_it(
    videos: list[Path], tmp_path: Path, changes: dict[str, Any]
):
    copy = sampled(recode(videos[0], tmp_path / "copy.mp4", **changes))
    originals = [sampled(video) for video in videos]
    assert [each for each in originals if is_copy(copy, each)] == originals[:1]
    assert is_copy(originals[0], copy)


@pytest.mark.parametrize("ending", ["ts", "mpg"])
def test_a_copy_in_a_stream_without_an_index_is_known_again(videos: list[Path], tmp_path: Path, ending: str):
    stream = recode(videos[0], tmp_path / f"copy.{ending}")
    other = recode(videos[0], tmp_path / "copy.mp4", starts_at=60)
    copy, originals = sampled(stream), [sampled(video) for video in videos]
    assert [each for each in originals if is_copy(copy, each)] == originals[:1]
    assert is_copy(sampled(other), copy)


def test_operations_of_the_generator_are_no_copies_of_each_other(videos: list[Path], tmp_path: Path):
    originals = [sampled(video) for video in videos]
    assert not any(is_copy(one, other) for one, other in combinations(originals, 2))
    others = [sampled(recode(video, tmp_path / video.name, scale=(0.75, 1))) for video in videos]
    found = {(a, b) for a, b in combinations(range(NUM_VIDEOS), 2) if is_copy(originals[a], others[b])}
    assert not found


def test_images_that_were_cut_out_of_a_video_are_its_copy(videos: list[Path], tmp_path: Path):
    timeline = read_timeline(videos[1])
    pictures = VideoPictures.of(videos[1], timeline)
    for time, image in pictures.between(0, 1e6):
        if round(time * 25) % 25 == 0:
            cv2.imwrite(str(tmp_path / f"{round(time * 25):06}.png"), image)
    images = tuple((int(path.stem) / 25, path) for path in sorted(tmp_path.glob("*.png")))
    sampler, samples = take(ImagePictures(images), 60.0)
    folder = Sampled(digest="folder", seconds=len(images), samples=samples, sampler=lambda: sampler)
    assert [is_copy(folder, sampled(video)) for video in videos] == [False, True, False, False]


def test_a_recording_that_is_away_is_compared_by_its_samples_alone(videos: list[Path], tmp_path: Path):
    def away(recording: Sampled) -> Sampled:
        return Sampled(digest=recording.digest, seconds=recording.seconds, samples=recording.samples)

    original, copy = sampled(videos[2]), sampled(recode(videos[2], tmp_path / "copy.mp4", cropped=(0.1, 0, 0, 0.05)))
    assert is_copy(away(original), copy)
    assert is_copy(original, away(copy))
    assert not is_copy(away(sampled(videos[3])), copy)


class Stills:
    """Pictures of a recording, one per second, some of which are shown for long."""

    def __init__(self, *shown: tuple[int, int]) -> None:
        self.images = [_blots(seed) for seed, seconds in shown for _ in range(seconds)]

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        return ((float(time), image) for time, image in enumerate(self.images) if start <= time < stop)

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        return self.between(0, most)

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        return (each for second in seconds for each in self.between(second - within, second + within))

    def apart(self, step_seconds: float) -> Iterator[TimedImage]:
        return self.between(0, len(self.images))


def _blots(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]


def stills(*shown: tuple[int, int]) -> Sampled:
    pictures = Stills(*shown)
    sampler, samples = take(pictures, len(pictures.images))
    return Sampled(digest=str(shown), seconds=len(pictures.images), samples=samples, sampler=lambda: sampler)


@pytest.mark.parametrize(
    ("shared", "expected"), [([(2, 4)], False), ([(2, 6)], False), ([(2, 4), (4, 4), (5, 4)], True)]
)
def test_a_picture_that_one_recording_ends_with_and_another_begins_with_makes_no_copy(
    shared: list[tuple[int, int]], expected: bool
):
    first, second = stills((1, 16), *shared), stills(*shared, (3, 14))
    assert is_copy(first, second) == is_copy(second, first) == expected


@pytest.mark.parametrize("level", [0, 90, 255])
def test_what_shows_nothing_is_no_copy(videos: list[Path], level: int, encode_video: Callable[..., Path]):
    empty = sampled(videos[0])
    empty.samples.pictures[:] = level
    other = sampled(videos[1])
    other.samples.pictures[:] = level
    assert not is_copy(empty, other)


def test_the_hash_of_a_window_is_that_of_the_picture_cut_there():
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (48, 48)).astype(np.uint8), (0, 0), 3)
    cuts = np.array([(0, 0), (0.125, 0.25)])
    windows = hashes_of(picture, cuts).reshape(2, 2, 2)  # cut above and below or not, left and right or not
    cut = cv2.resize(picture[6:36, 6:36], (48, 48), interpolation=cv2.INTER_AREA)
    whole = np.array([(0, 0)])
    assert differences(windows[0, 0], hashes_of(picture, whole)[0]) == 0
    assert differences(windows[1, 1], hashes_of(cut, whole)[0]) < 4 / NUM_BITS
    assert differences(windows[0, 0], windows[1, 1]) > 0.2
