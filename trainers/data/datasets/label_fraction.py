"""Label fractions: the training videos whose labels are used, drawn by the seed so that every phase occurs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from trainers.data.frames import UNLABELLED
from trainers.data.ingest.annotations import AnnotationFormat, read_labels, read_phases
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest
from trainers.runtime.randomness import derived_seed
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The videos whose labels are learnt from, and how many of them the fraction alone asks for."""

    videos: tuple[Ingest, ...]
    num_asked: int

    @property
    def is_raised(self) -> bool:
        """Whether there are more, so that no phase is missing."""
        return len(self.videos) > self.num_asked


def draw_labelled(videos: Sequence[Ingest], fraction: float, seed: int) -> Draw:
    """A fraction of the videos, rounded up, and more where a phase would be missing; in the order of `videos`.

    A larger fraction holds the videos of every smaller one of the same seed. Nothing but seed, videos and fraction
    decides the draw, so that all methods learn from the same labels.

    Args:
        videos: all training videos.
        fraction: of the videos, above 0 and at most 1.
        seed: of the draw.

    Raises:
        InputError: the fraction is out of range, or leaves a phase without a video, however the videos are drawn.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"label_fraction is {fraction:g}: it must be above 0 and at most 1.")
    if fraction == 1:
        return Draw(videos=tuple(videos), num_asked=len(videos))
    order = sorted(videos, key=lambda video: derived_seed(seed, "label fraction", video.video_digest))
    _check_phases(order, fraction)
    asked = math.ceil(round(fraction * len(order), 9))
    chosen = {video.video_digest for video in order[: max(asked, _fewest_with_every_phase(order))]}
    return Draw(videos=tuple(video for video in videos if video.video_digest in chosen), num_asked=asked)


def phases_shown(video: Ingest) -> frozenset[int]:
    """The phases that a video's annotation names, by index; holes show none.

    Raises:
        InputError: the annotation is missing or malformed.
    """
    if video.annotation_path is None:
        return frozenset()
    return _phases_in(video.annotation_path, video.annotation_digest, video.phases, video.annotation_format)


def _check_phases(videos: Sequence[Ingest], fraction: float) -> None:
    shown = frozenset().union(*map(phases_shown, videos))
    missing = [name for index, name in enumerate(videos[0].phases) if index not in shown]
    if missing:
        raise InputError(
            f"label_fraction {fraction:g} leaves phase {missing[0]} without a video, for none of the {len(videos)} "
            "training videos shows it: add one that does, or take all labels, with --set label_fraction=1 or, in a "
            "study that varies it, with --row for its rows at 1, which `freelunch list --json` names."
        )


def _fewest_with_every_phase(order: Sequence[Ingest]) -> int:
    """The number of videos, from the first, that together show every phase."""
    left = set(range(len(order[0].phases)))
    for count, video in enumerate(order, start=1):
        left -= phases_shown(video)
        if not left:
            return count
    raise AssertionError("every phase occurs")


@cache
def _phases_in(
    path: Path, digest: str | None, phases: tuple[str, ...], layout: AnnotationFormat | None
) -> frozenset[int]:
    if layout is None:
        labels = read_phases(path, phases)
    else:
        labels = read_labels(path, phases, layout, video_fps=NOMINAL_FPS).labels  # at any rate the same phases
    return frozenset(np.unique(labels).tolist()) - {UNLABELLED}
