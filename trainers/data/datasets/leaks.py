"""Findings on copies: recordings of a data set that show the same frames, and copies in other registered data sets."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

from trainers.data.datasets.copies import Sampled, is_copy
from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.datasets.frame_folders import images_by_index
from trainers.data.datasets.scan import Scan, Scans, pictures_of_images, place_of
from trainers.data.datasets.splits import divided
from trainers.data.ingest.findings import Finding
from trainers.data.ingest.pictures import Pictures, VideoPictures
from trainers.runtime.registry import stamp_of
from trainers.stage import InputError

SPLITS = ("selection", "official")
MOST_NAMED = 3
"""Copies in another data set that have a finding each; more of them share one."""

Pair = tuple[RegisteredVideo, RegisteredVideo]


def with_copies(dataset: Dataset, others: Iterable[Dataset], scans: Scans) -> tuple[Dataset, tuple[Finding, ...]]:
    """A data set whose recordings know of their copies, and the findings on these.

    Args:
        dataset: as it was read.
        others: the other registered data sets.
        scans: of all of them.
    """
    own = _sampled(dataset, scans)
    inside = [pair for pair in combinations(dataset.recordings, 2) if _is_copy(pair, own, own)]
    findings, copies = list(_inside(dataset, inside)), {each.video_digest: set[str]() for each in dataset.recordings}
    for other in others:
        found = _in_another(dataset, own, other, scans)
        findings += _outside(dataset, other, found)
        inside += found
    for first, second in inside:
        copies[first.video_digest].add(second.video_digest)
        if second.video_digest in copies:
            copies[second.video_digest].add(first.video_digest)
    recordings = tuple(
        replace(each, copies=tuple(sorted(copies[each.video_digest] - {each.video_digest})))
        for each in dataset.recordings
    )
    return replace(dataset, recordings=recordings), tuple(findings)


def _in_another(dataset: Dataset, own: dict[str, Sampled], other: Dataset, scans: Scans) -> list[Pair]:
    """Pairs of a recording and its copy in another data set; each of the other's recordings is looked at once."""
    ours = {digest: each for each in dataset.recordings for digest in _digests(each)}
    known = [(ours[digest], each) for each in other.recordings for digest in _digests(each)[:1] if digest in ours]
    rest = [each for each in other.recordings if not any(digest in ours for digest in _digests(each))]
    theirs = _sampled(other, scans, only={each.video_digest for each in rest})
    pairs = [(each, another) for each in dataset.recordings for another in rest]
    return [*known, *(pair for pair in pairs if _is_copy(pair, own, theirs))]


def _digests(recording: RegisteredVideo) -> list[str]:
    return [each for each in (recording.video_digest, recording.stream_digest) if each]


def _is_copy(pair: Pair, first: dict[str, Sampled], second: dict[str, Sampled]) -> bool:
    """Whether a pair, not known by its digests, is of copies; files that cannot be read any more are passed over."""
    one, other = first.get(pair[0].video_digest), second.get(pair[1].video_digest)
    if one is None or other is None or set(_digests(pair[0])) & set(_digests(pair[1])):
        return False
    with suppress(InputError):
        return is_copy(one, other)
    return False


def _sampled(dataset: Dataset, scans: Scans, only: set[str] | None = None) -> dict[str, Sampled]:
    found = {}
    for each in dataset.recordings:
        if only is None or each.video_digest in only:
            place = place_of(Path(each.video), each.name, each.images)
            pictures = partial(_pictures, each) if _is_there(each) else None
            sampled = scans.sampled(place, each.video_digest, pictures)
            if sampled is not None:
                found[each.video_digest] = sampled
    return found


def _is_there(recording: RegisteredVideo) -> bool:
    """Whether a recording lies where it lay when it was registered; another file may have taken its place."""
    path = Path(recording.video)
    return path.is_dir() or (path.is_file() and stamp_of(path) == recording.video_stamp)


def _pictures(recording: RegisteredVideo, scan: Scan) -> Pictures:
    if scan.num_images is None:
        return VideoPictures(Path(recording.video), (), scan.first)
    images = images_by_index(Path(recording.video), recording.images, recording.name)
    return pictures_of_images(images, scan.fps)


def _inside(dataset: Dataset, pairs: Sequence[Pair]) -> Iterator[Finding]:
    sides = list(_sides(dataset))
    for first, second in pairs:
        apart = next((each for each in sides if each[first.name] != each[second.name]), None)
        where = "" if apart is None else f", which {apart[first.name]} where this one {apart[second.name]}"
        yield Finding(
            path=second.video,
            message=f"shows the same frames as {first.video}{where}",
            remedy="move one of them away" if apart else "keep one of them, unless it is meant",
            severity="error" if apart else "warning",
        )


def _sides(dataset: Dataset) -> Iterator[dict[str, str]]:
    """What every recording does, by its name, in each split that a data set has."""
    labelled = [each.name for each in dataset.recordings if each.annotation]
    for split in SPLITS:
        with suppress(InputError):  # too few to be split
            sides = divided(labelled, split, subsets=dataset.subsets)
            found = {each.name: "is pre-trained on" for each in dataset.recordings}
            found |= dict.fromkeys(sides.train, "is pre-trained on")
            yield found | dict.fromkeys(sides.validation, "validates") | dict.fromkeys(sides.test, "tests")


def _outside(dataset: Dataset, other: Dataset, pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Warnings: what is pre-trained on one data set and tested on another is refused where it is asked for."""
    warning: Callable[..., Finding] = partial(
        Finding, remedy="they cannot be pre-trained on together with a test of the other", severity="warning"
    )
    if len(pairs) > MOST_NAMED:
        names = ", ".join(first.name for first, _ in pairs[:MOST_NAMED])
        yield warning(path=dataset.root, message=f"has {len(pairs)} recordings of dataset {other.name!r}: {names}, …")
        return
    for first, second in pairs:
        yield warning(path=first.video, message=f"shows the same frames as {second.video} of dataset {other.name!r}")
