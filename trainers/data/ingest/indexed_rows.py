"""Rows of a recording of 25 fps whose annotation has a row per frame: both are counted by index."""

from collections.abc import Iterator, Sequence

import numpy as np

from trainers.data.frames import UNLABELLED
from trainers.data.ingest.rows import TOLERATED_SECONDS, Rows
from trainers.data.ingest.source import Labels, Source
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.stage import InputError


def rows_by_index(name: str, source: Source, step: int, labels: Labels | None, phases: Sequence[str]) -> Rows:
    """Every step-th frame of a recording, with the row of the annotation of the same index.

    Args:
        name: of the recording, in messages.
        source: the recording.
        step: distance of rows, in frames.
        labels: the rows of its annotation, if it has one.
        phases: names of the phases, in index order.

    Raises:
        InputError: recording and annotation differ in length by more than a second.
    """
    length = source.length_beside(labels)
    num_frames = shared_length(name, length, labels)
    wanted = range(0, num_frames, step)
    unlabelled = np.full(len(wanted), UNLABELLED, np.int8)
    return Rows(
        indices=np.array(wanted, np.int64),
        labels=unlabelled if labels is None else labels[:num_frames:step],
        images=((index // step, image) for index, image in source.images(wanted)),
        num_video=length,
        num_annotated=None if labels is None else len(labels),
        num_cut=0 if labels is None else abs(length - len(labels)),
        phases=_phase_counts(labels, num_frames, phases),
        warnings=tuple(length_warnings(length, labels)),
    )


def shared_length(name: str, num_frames: int, labels: Labels | None) -> int:
    """The number of frames that video and annotation both have.

    Raises:
        InputError: they differ by more than a second.
    """
    if labels is None:
        return num_frames
    if abs(num_frames - len(labels)) > TOLERATED_SECONDS * NOMINAL_FPS:
        raise InputError(
            f"{name} has {num_frames} frames but {len(labels)} annotated ones, more than {TOLERATED_SECONDS:g} s "
            f"({NOMINAL_FPS} frames) apart: make sure that the annotation is that of the video."
        )
    return min(num_frames, len(labels))


def length_warnings(num_frames: int, labels: Labels | None) -> Iterator[str]:
    """A sentence where the lengths of video and annotation differ."""
    if labels is not None and num_frames != len(labels):
        shared = min(num_frames, len(labels))
        yield f"{num_frames} frames but {len(labels)} annotated ones: both cut to {shared}"


def _phase_counts(labels: Labels | None, num_frames: int, phases: Sequence[str]) -> dict[str, int]:
    if labels is None:
        return {}
    shared = labels[:num_frames]
    counts = np.bincount(shared[shared != UNLABELLED], minlength=len(phases)).tolist()
    return {phase: count for phase, count in zip(phases, counts, strict=True) if count}
