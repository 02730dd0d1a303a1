"""Long black or frozen stretches of a recording, as when the camera is taken out of the body."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainers.data.ingest.margins import DARKEST_CONTENT
from trainers.data.ingest.samples import Sampler, Samples

Kind = Literal["black", "frozen"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Thresholds of what is a stretch.

    Attributes:
        shortest_seconds: of a stretch; shorter ones are part of an operation.
        black_level: grey level (of 255) that hardly a pixel of a black frame is above.
        changed_level: difference of grey levels from which a pixel has changed.
        changed_share: share of pixels that change at most between two frames of a frozen stretch, or are bright in a
            black one: a clock that is shown in the picture goes on.
    """

    shortest_seconds: float = 15.0
    black_level: int = DARKEST_CONTENT
    changed_level: int = 3
    changed_share: float = 0.02


RULE = Rule()


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stretch of a recording, in seconds from its first frame on."""

    kind: Kind
    start: float
    stop: float


def find_stretches(samples: Samples, sampler: Sampler, length: float, rule: Rule = RULE) -> tuple[Stretch, ...]:
    """The long black or frozen stretches of a recording, in order.

    Samples tell where they are, and every frame between two samples where they begin and end.

    Args:
        samples: of the recording.
        sampler: takes further samples of it.
        length: of the recording, in seconds.
        rule: thresholds.
    """
    if len(samples) < 2:
        return ()
    found = [
        stretch
        for kind, first, last in _runs(samples, rule)
        if (stretch := _with_edges(kind, first, last, samples, sampler, length, rule)) is not None
    ]
    return tuple(sorted(found, key=lambda stretch: stretch.start))


def _runs(samples: Samples, rule: Rule) -> Iterator[tuple[Kind, int, int]]:
    """Kind, first and last sample of what may be a stretch."""
    black = np.array([_is_black(picture, rule) for picture in samples.pictures])
    same = [_is_same(a, b, rule) for a, b in zip(samples.pictures[1:], samples.pictures[:-1], strict=True)]
    frozen = np.array(same) & ~black[1:] & ~black[:-1]
    for first, stop in _spans(black):
        yield "black", first, stop - 1
    for first, stop in _spans(frozen):
        yield "frozen", first, stop


def _spans(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _with_edges(
    kind: Kind, first: int, last: int, samples: Samples, sampler: Sampler, length: float, rule: Rule
) -> Stretch | None:
    """The stretch around a run of samples, its ends found among all frames; None where it is too short."""
    seconds, picture = samples.seconds, samples.pictures[last]
    earliest = float(seconds[first - 1]) if first else float(seconds[0])
    latest = float(seconds[last + 1]) if last + 1 < len(seconds) else length
    if latest - earliest < rule.shortest_seconds:
        return None

    def belongs(other: np.ndarray) -> bool:
        return _is_black(other, rule) if kind == "black" else _is_same(other, picture, rule)

    start = _first(sampler.between(earliest, float(seconds[first])), belongs, float(seconds[first]))
    stop = _first(sampler.between(float(seconds[last]), latest), lambda other: not belongs(other), latest)
    return Stretch(kind=kind, start=start, stop=stop) if stop - start >= rule.shortest_seconds else None


def _first(samples: Samples, holds: Callable[[np.ndarray], bool], otherwise: float) -> float:
    """The time of the first sample of which something holds."""
    pairs = zip(samples.seconds, samples.pictures, strict=True)
    return next((float(time) for time, picture in pairs if holds(picture)), otherwise)


def _is_black(picture: np.ndarray, rule: Rule) -> bool:
    return float((picture > rule.black_level).mean()) <= rule.changed_share


def _is_same(picture: np.ndarray, other: np.ndarray, rule: Rule) -> bool:
    difference = np.abs(picture.astype(np.int16) - other)
    return float((difference > rule.changed_level).mean()) <= rule.changed_share
