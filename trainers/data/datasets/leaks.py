"""Findings on copies: recordings of a data set that show the same frames, and copies in other registered data sets."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from trainers.data.datasets.comparison import Comparison, Pair, digests
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.scan import Scans
from trainers.data.datasets.splits import divided
from trainers.data.ingest.findings import Finding
from trainers.stage import InputError

SPLITS = ("selection", "official")
MOST_NAMED = 3
"""Copies in another data set that have a finding each; more of them share one."""


def with_copies(dataset: Dataset, others: Sequence[Dataset], scans: Scans) -> tuple[Dataset, tuple[Finding, ...]]:
    """A data set whose recordings know of their copies, and the findings on these.

    Args:
        dataset: as it was read.
        others: the other registered data sets.
        scans: of all of them.
    """
    comparison = Comparison(scans)
    recordings = dataset.recordings
    inside = [pair for i, one in enumerate(recordings) for pair in comparison.copies(one, recordings[i + 1 :])]
    findings, copies = list(_inside(dataset, inside)), {each.video_digest: set[str]() for each in dataset.recordings}
    for other in others:
        found = _in_another(dataset, other, comparison)
        findings += _outside(dataset, other, found)
        inside += found
    comparison.keep((*recordings, *(each for other in others for each in other.recordings)))
    for first, second in inside:
        copies[first.video_digest].add(second.video_digest)
        if second.video_digest in copies:
            copies[second.video_digest].add(first.video_digest)
    recordings = tuple(
        replace(each, copies=tuple(sorted(copies[each.video_digest] - {each.video_digest}))) for each in recordings
    )
    return replace(dataset, recordings=recordings), tuple(findings)


def _in_another(dataset: Dataset, other: Dataset, comparison: Comparison) -> list[Pair]:
    """Pairs of a recording and its copy in another data set; each of the other's recordings is looked at once."""
    ours = {digest: each for each in dataset.recordings for digest in digests(each)}
    known: list[Pair] = []
    rest = []
    for each in other.recordings:
        same = next((ours[digest] for digest in digests(each) if digest in ours), None)
        if same is None:
            rest.append(each)
        else:
            known.append((same, each))
    return [*known, *(pair for one in dataset.recordings for pair in comparison.copies(one, rest))]


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
