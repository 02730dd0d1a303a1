"""Rows of a frame store by time: which frame each of them shows, and with which label."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from trainers.data.frames import UNLABELLED
from trainers.data.ingest.annotations import AnnotationFormat, LabelTrack
from trainers.data.ingest.rows import TOLERATED_SECONDS, Rows
from trainers.data.ingest.source import NumberedImages, Source
from trainers.data.ingest.timeline import EXACT_SECONDS, NOMINAL_FPS
from trainers.stage import InputError

SAID_SECONDS = 0.1
"""From how much time on it is said that lengths differ."""


def rows_by_time(
    name: str, source: Source, fps: float, track: LabelTrack | None, layout: AnnotationFormat, phases: Sequence[str]
) -> Rows:
    """Rows at a constant rate, the first at the first frame: the frame that is shown then, the label valid then.

    The column `frame` is the time in frames of 25 per second, rounded: `sample_every` picks the rows of a lower rate by
    it, as it does in recordings of 25 fps.

    Args:
        name: of the recording, in messages.
        source: the recording.
        fps: rate of the rows.
        track: its annotation, if it has one.
        layout: the format of the annotation.
        phases: names of the phases, in index order.

    Raises:
        InputError: recording and annotation differ in length by more than a second.
    """
    seconds = source.num_frames / source.fps
    refuse_other_length(name, (seconds, seconds + source.slack / source.fps), track, layout)
    times = row_times(source.end_seconds, fps, track, layout)
    frames = source.frame_at(times)
    labels = np.full(len(times), UNLABELLED, np.int8)
    if track is not None:
        # A row per frame of a video of varying rate belongs to the frame, not to its time.
        labels = track.at(times if layout.rate else frames / source.fps)
    num_annotated = None if track is None else round(track.seconds * source.fps)
    goes_on = num_annotated is None or (layout.may_end_early and num_annotated < source.num_frames)
    return Rows(
        indices=np.floor(np.arange(len(times)) * NOMINAL_FPS / fps + 0.5).astype(np.int64),
        labels=labels,
        images=_images(source, frames),
        num_video=source.num_frames,
        num_annotated=num_annotated,
        num_cut=0 if goes_on else abs(source.num_frames - (num_annotated or 0)),
        phases=_phase_counts(track, source, phases),
        warnings=tuple(_warnings(seconds, track, labels, fps)),
    )


def row_times(end: float, fps: float, track: LabelTrack | None, layout: AnnotationFormat) -> np.ndarray:
    """The times k / fps of rows, in seconds: up to the end of the recording, or of an annotation that ends before."""
    if track is not None and not layout.may_end_early:
        end = min(end, track.seconds)
    return np.asarray(np.arange(max(math.ceil((end - EXACT_SECONDS) * fps), 1)) / fps)


def _images(source: Source, frames: np.ndarray) -> NumberedImages:
    """The image of every row with the row's number; a frame that is shown in many rows is decoded once."""
    numbers, firsts = np.unique(frames, return_index=True)
    ends = np.append(firsts[1:], len(frames)).tolist()
    for (_, image), first, end in zip(source.shown(numbers.tolist()), firsts.tolist(), ends, strict=True):
        for row in range(first, end):
            yield row, image


def _phase_counts(track: LabelTrack | None, source: Source, phases: Sequence[str]) -> dict[str, int]:
    """Frames of every phase that occurs, at the recording's own rate."""
    if track is None:
        return {}
    labels = track.at(np.arange(source.num_frames) / source.fps)
    counts = np.bincount(labels[labels != UNLABELLED], minlength=len(phases)).tolist()
    return {phase: count for phase, count in zip(phases, counts, strict=True) if count}


def refuse_other_length(
    name: str, seconds: tuple[float, float], track: LabelTrack | None, layout: AnnotationFormat
) -> None:
    """Refuses an annotation that cannot be that of a recording.

    Args:
        name: of the recording, in messages.
        seconds: its length, at least and at most.
        track: its annotation, if it has one.
        layout: the format of the annotation.

    Raises:
        InputError: they differ in length by more than a second.
    """
    if track is None:
        return
    tolerated = max(TOLERATED_SECONDS, 1 / layout.rate if layout.rate else 0)
    is_too_short = track.seconds < seconds[0] - tolerated and not layout.may_end_early
    if track.seconds > seconds[1] + tolerated or is_too_short:
        raise InputError(
            f"{name} lasts {seconds[0]:.2f} s but its annotation {track.seconds:.2f} s, more than {tolerated:g} s "
            "apart: make sure that the annotation is that of the video, and that the rates are right."
        )


def length_warnings_by_time(seconds: float, track: LabelTrack | None) -> Iterator[str]:
    """A sentence where the lengths of video and annotation differ."""
    if track is not None and abs(seconds - track.seconds) > max(SAID_SECONDS, track.row_seconds):
        yield f"{seconds:.2f} s but has {track.seconds:.2f} s annotated"


def _warnings(seconds: float, track: LabelTrack | None, labels: np.ndarray, fps: float) -> Iterator[str]:
    yield from (f"lasts {warning}" for warning in length_warnings_by_time(seconds, track))
    num_unlabelled = int(np.count_nonzero(labels == UNLABELLED))
    if track is not None and num_unlabelled:
        yield f"{num_unlabelled / fps:.1f} s without a label"
