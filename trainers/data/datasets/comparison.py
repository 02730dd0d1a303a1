"""Comparison of recordings for copies: each pair once, as long as both stay what they are."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from trainers.data.datasets.compared import Compared
from trainers.data.datasets.copies import Sampled, is_copy
from trainers.data.datasets.copy_screen import possible_copies
from trainers.data.datasets.dataset import RegisteredVideo
from trainers.data.datasets.frame_folders import images_by_index
from trainers.data.datasets.scan import FORMAT, Scan, Scans, pictures_of_images, place_of
from trainers.data.ingest.pictures import Pictures, VideoPictures
from trainers.runtime.registry import stamp_of
from trainers.stage import InputError

Pair = tuple[RegisteredVideo, RegisteredVideo]


class Comparison:
    """Comparison of recordings by their samples.

    Args:
        scans: of the recordings.
    """

    def __init__(self, scans: Scans) -> None:
        self._scans = scans
        self._compared = Compared(scans.folder, FORMAT)
        self._sampled: dict[str, Sampled | None] = {}

    def copies(self, one: RegisteredVideo, others: Sequence[RegisteredVideo]) -> Iterator[Pair]:
        """Pairs of one recording and a copy of it, in order; those that share a digest are known, and none of them."""
        others = [other for other in others if not set(digests(one)) & set(digests(other))]
        is_known, are_copies = self._compared.of(one, others)
        if not is_known.all():
            are_copies[~is_known] = self._compare(one, [others[i] for i in np.flatnonzero(~is_known)])
        return ((one, others[i]) for i in np.flatnonzero(are_copies))

    def keep(self, recordings: Iterable[RegisteredVideo]) -> None:
        """Keeps what was found of some recordings for the next time."""
        self._compared.write(recordings)

    def _compare(self, one: RegisteredVideo, others: Sequence[RegisteredVideo]) -> np.ndarray:
        first, found = self._samples(one), np.zeros(len(others), bool)
        seconds = [self._samples(other) for other in others]
        there = [(i, second) for i, second in enumerate(seconds) if second is not None]
        if first is None or not there:
            return found
        final = []
        possible = possible_copies(first, [second for _, second in there])
        for (number, second), may_be in zip(there, possible, strict=True):
            with suppress(InputError):  # files that cannot be read any more are passed over
                found[number] = may_be and is_copy(first, second)
                final += [number] if first.sampler is not None and second.sampler is not None else []
        self._compared.add(one, [others[number] for number in final], found[final])
        return found

    def _samples(self, recording: RegisteredVideo) -> Sampled | None:
        """The samples of a recording; None where they were not kept."""
        digest = recording.video_digest
        if digest not in self._sampled:
            place = place_of(Path(recording.video), recording.name, recording.images)
            pictures = partial(_pictures, recording) if _is_there(recording) else None
            self._sampled[digest] = self._scans.sampled(place, digest, pictures)
        return self._sampled[digest]


def digests(recording: RegisteredVideo) -> list[str]:
    """All digests that the content of a recording is known by."""
    return [each for each in (recording.video_digest, recording.stream_digest) if each]


def _is_there(recording: RegisteredVideo) -> bool:
    """Whether a recording lies where it lay when it was registered; another file may have taken its place."""
    path = Path(recording.video)
    return path.is_dir() or (path.is_file() and stamp_of(path) == recording.video_stamp)


def _pictures(recording: RegisteredVideo, scan: Scan) -> Pictures:
    if scan.num_images is None:
        return VideoPictures(Path(recording.video), (), scan.first)
    images = images_by_index(Path(recording.video), recording.images, recording.name)
    return pictures_of_images(images, scan.fps)
