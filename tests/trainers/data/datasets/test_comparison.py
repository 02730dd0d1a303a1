"""Comparing recordings for copies: the screen misses none, and no pair is compared twice."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.damage import damaged_arrays
from trainers.data.datasets import comparison, copies
from trainers.data.datasets.compared import FILE_NAME, Compared
from trainers.data.datasets.comparison import Comparison
from trainers.data.datasets.copies import Sampled, is_copy
from trainers.data.datasets.copy_screen import possible_copies
from trainers.data.datasets.dataset import RegisteredVideo
from trainers.data.datasets.scan import Scans
from trainers.data.ingest.pictures import TimedImage
from trainers.data.ingest.samples import SIDE_PX, Sampler, Samples

NUM_RECORDINGS = 24


class NoPictures:
    """Pictures of a file that gives no further ones."""

    def keys(self, step_seconds: float, most: int) -> Iterator[TimedImage]:
        return iter(())

    def nearest(self, seconds: Sequence[float], within: float) -> Iterator[TimedImage]:
        return iter(())

    def between(self, start: float, stop: float) -> Iterator[TimedImage]:
        return iter(())


def recording(number: int) -> RegisteredVideo:
    return RegisteredVideo(
        name=f"video{number}",
        video=f"/nowhere/video{number}.mp4",
        annotation=None,
        subset=None,
        video_digest=f"digest {number}",
        annotation_digest=None,
        num_frames=1500,
        video_stamp=(1, 1),
        annotation_stamp=None,
    )


def sampled(number: int) -> Sampled:
    """A recording of noise that every third shares in part, at another time or with a few changes."""
    own, shared = np.random.default_rng(number), np.random.default_rng(99)
    length = int(own.integers(2, 40))
    pictures = own.integers(0, 256, (length, SIDE_PX, SIDE_PX), np.uint8)
    seconds = np.sort(own.uniform(0, 2.5 * length, length))
    if number % 3 == 0:
        pictures = shared.integers(0, 256, (40, SIDE_PX, SIDE_PX), np.uint8)[number % 7 :]
        pictures ^= (own.random(pictures.shape) < 0.002 * number).astype(np.uint8) << 7
        seconds = 2.0 * np.arange(len(pictures)) + own.uniform(0, 0.05, len(pictures))
    samples = Samples(seconds=seconds, pictures=pictures)
    sampler = Sampler(NoPictures(), {})
    return Sampled(digest=f"digest {number}", seconds=seconds[-1] + 1, samples=samples, sampler=lambda: sampler)


def test_the_screen_keeps_every_pair_that_comparing_looks_at_closely(monkeypatch: pytest.MonkeyPatch):
    recordings = [sampled(number) for number in range(NUM_RECORDINGS)]
    looked_at = set()
    likely = copies._likely_offset

    def noted(first: Sampled, second: Sampled) -> float | None:
        found = likely(first, second)
        if found is not None:
            looked_at.add((first.digest, second.digest))
        return found

    monkeypatch.setattr(copies, "_likely_offset", noted)
    alike = {(a.digest, b.digest) for a, b in itertools.permutations(recordings, 2) if is_copy(a, b)}
    kept = {
        (one.digest, other.digest)
        for one in recordings
        for other, may_be in zip(recordings, possible_copies(one, recordings), strict=True)
        if may_be and one is not other
    }
    assert alike | looked_at <= kept
    assert alike
    assert looked_at
    assert len(kept) < NUM_RECORDINGS * (NUM_RECORDINGS - 1) / 2


def clip(number: int, num_frames: int) -> Sampled:
    """A recording of a few seconds, the same in every pair of them, whose frames must not be decoded again."""
    pictures = np.random.default_rng(number // 2).integers(0, 256, (num_frames, SIDE_PX, SIDE_PX), np.uint8)
    samples = Samples(seconds=np.arange(num_frames, dtype=np.float64), pictures=pictures)
    return Sampled(
        digest=f"clip {number}",
        seconds=float(num_frames),
        samples=samples,
        sampler=lambda: pytest.fail("it is decoded"),
    )


def pairs_of(recordings: Sequence[Sampled]) -> list[tuple[int, int]]:
    """Numbers of the recordings that are copies of each other, by the screen and a closer look."""
    kept = [possible_copies(one, recordings) for one in recordings]
    pairs = itertools.combinations(range(len(recordings)), 2)
    return [(a, b) for a, b in pairs if kept[a][b] and is_copy(recordings[a], recordings[b])]


def test_clips_of_too_few_frames_to_tell_a_copy_are_never_decoded_again():
    clips = [clip(number, num_frames) for num_frames in (1, 2) for number in range(8)]
    assert pairs_of(clips) == [(number, number + 8) for number in range(8)]  # those of one digest
    assert not any(is_copy(one, other) for one, other in itertools.combinations(clips[:8], 2))


def test_clips_of_just_enough_frames_are_told_by_their_samples_alone():
    clips = [clip(number, 3) for number in range(8)]
    assert pairs_of(clips) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert [possible_copies(one, clips).sum() for one in clips] == [2] * 8


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Pairs that were compared, all of them without a screen; a pair is of copies where numbers differ by ten."""
    asked: list[tuple[str, str]] = []

    def numbers_differ_by_ten(first: Sampled, second: Sampled) -> bool:
        asked.append((first.digest, second.digest))
        return abs(int(first.digest.split()[1]) - int(second.digest.split()[1])) == 10

    monkeypatch.setattr(comparison, "is_copy", numbers_differ_by_ten)
    monkeypatch.setattr(comparison, "possible_copies", lambda one, others: np.ones(len(others), bool))
    monkeypatch.setattr(Scans, "sampled", lambda self, place, digest, pictures: sampled(int(digest.split()[1])))
    return asked


def compare(folder: Path, numbers: range) -> list[tuple[str, str]]:
    recordings, found = [recording(number) for number in numbers], Comparison(Scans(folder))
    pairs = [
        (one.name, other.name)
        for position, first in enumerate(recordings)
        for one, other in found.copies(first, recordings[position + 1 :])
    ]
    found.keep(recordings)
    return pairs


def test_pairs_that_were_compared_are_not_compared_again(tmp_path: Path, compared: list[tuple[str, str]]):
    copies = [("video0", "video10"), ("video1", "video11")]
    assert compare(tmp_path, range(12)) == copies
    assert len(compared) == 12 * 11 / 2
    compared.clear()
    assert compare(tmp_path, range(12)) == copies
    assert compared == []
    assert compare(tmp_path, range(13)) == [*copies, ("video2", "video12")]
    assert [second for _, second in compared] == ["digest 12"] * 12


def test_pairs_of_which_a_file_is_away_are_compared_again(
    tmp_path: Path, compared: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
):
    def away(self: Scans, place: Path, digest: str, pictures: object) -> Sampled:
        there = sampled(int(digest.split()[1]))
        return Sampled(digest=digest, seconds=there.seconds, samples=there.samples)

    monkeypatch.setattr(Scans, "sampled", away)
    for _ in range(2):
        assert compare(tmp_path, range(2)) == []
    assert len(compared) == 2


def test_what_was_compared_is_forgotten_where_its_file_is_damaged_or_of_another_version(tmp_path: Path):
    one, other = recording(0), recording(1)
    found = Compared(tmp_path, version=1)
    found.add(one, [other], np.array([True]))
    found.write([one, other])
    assert [each.tolist() for each in Compared(tmp_path, version=1).of(other, [one])] == [[True], [True]]
    assert not Compared(tmp_path, version=2).of(other, [one])[0].any()
    content = (tmp_path / FILE_NAME).read_bytes()
    for changed in itertools.islice(damaged_arrays(content), 50):
        (tmp_path / FILE_NAME).write_bytes(changed)
        assert not Compared(tmp_path, version=1).of(other, [one])[0].any()
