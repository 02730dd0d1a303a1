"""Ingest of a recording into its frame store: one stage per video, with an audit."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from trainers.artifacts.audit import Audit, write_audit
from trainers.data.frames import UNLABELLED, Frame, FrameSource, write_frames
from trainers.data.ingest.annotations import AnnotationFormat, read_phases
from trainers.data.ingest.margins import NUM_SAMPLES, Margins, find_margins, resize
from trainers.data.ingest.video_file import (
    NOMINAL_FPS,
    TOLERATED_SECONDS,
    Timeline,
    read_frames,
    read_key_frames,
    read_timeline,
)
from trainers.fields import CountOrZero, Pixels, Rate, added
from trainers.stage import InputError, Work

Labels = np.ndarray

REPORTED_EVERY = 500
FRAMES_PER_SECOND = 900
"""Source frames of 854×480 pixels that the reference machine ingests per second."""
UNKNOWN_SECONDS = 60.0
BYTES_PER_PIXEL = 0.4
"""Of a stored frame, at the usual size."""
SMALLEST_SIDE_PX = 16
"""Of a frame in which anything can be seen."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recording that was opened for ingest; lengths and indices are in frames at its own rate."""

    fps: Rate
    width_px: int
    height_px: int
    num_frames: int
    samples: Callable[[int], Sequence[np.ndarray]]
    """Some RGB images spread over the recording, to find its margins in."""
    images: Callable[[range], Iterator[tuple[int, np.ndarray]]]
    """The wanted frames in order: index and RGB image."""
    warnings: tuple[str, ...] = ()
    slack: int = 0
    """The number of further frames that the recording may have had, where not all of them were kept."""

    def length_beside(self, labels: Labels | None) -> int:
        """The number of frames, which the annotation tells as far as the recording leaves it open."""
        return self.num_frames if labels is None else _length_beside(self.num_frames, labels, self.slack)


@dataclass(frozen=True, kw_only=True)
class Ingest(FrameSource):
    """The frame store of one recording: margins cut, frames resized, phases beside them.

    Raises:
        InputError: `fps` does not divide 25.
    """

    name: str
    """Name of the recording in messages, such as `video01`."""
    video_digest: str
    annotation_digest: str | None
    """Content digests: they identify the recording, independently of its path."""
    phases: tuple[str, ...]
    """The dataset's phases, in index order."""
    annotation_format: AnnotationFormat | None = added(None)
    """Format of the annotation; None for Cholec80's rows at 25 fps."""
    fps: Rate = 5.0
    """Rate of the stored rows; it divides the annotations' 25 fps."""
    size_px: Pixels = 250
    """Side of the square that frames are stretched to."""
    cut_margins: bool = True
    video_path: Path = field(compare=False)
    annotation_path: Path | None = field(compare=False)
    num_source_frames: CountOrZero = field(default=0, compare=False)
    """Length of the recording, where it is known already; only estimates use it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert (self.annotation_digest is None) == (self.annotation_path is None), "an annotation has digest and path"
        if self.fps > NOMINAL_FPS or NOMINAL_FPS % self.fps:
            raise InputError(f"fps is {self.fps:g}, which does not divide {NOMINAL_FPS}: give 25, 5 or 1, for example.")

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"

    def expected_bytes(self) -> float:
        """Rough size of the store."""
        return self.num_source_frames / self.step * self.size_px**2 * BYTES_PER_PIXEL

    @property
    def step(self) -> int:
        """Distance of stored frames, in source frames."""
        return round(NOMINAL_FPS / self.fps)

    def examine(self) -> tuple[str, ...]:
        """Reads the annotation and compares its length with the recording's, as `run` does before it decodes.

        Returns:
            Warnings, each the rest of a sentence that begins with the video.

        Raises:
            InputError: the annotation cannot be read, or is not that of the recording.
        """
        _, warnings = self.beside_annotation()
        return warnings

    def beside_annotation(self, slack: int = 0) -> tuple[int, tuple[str, ...]]:
        """The number of frames that recording and annotation both have, and warnings as `examine` returns them.

        Args:
            slack: number of further frames that the recording may have had.
        """
        if self.annotation_path is None:
            return self.num_source_frames, ()
        labels = read_phases(self.annotation_path, self.phases)
        length = _length_beside(self.num_source_frames, labels, slack)
        shared = _shared_length(self.name, length, labels)
        return shared, tuple(f"has {warning}" for warning in _length_warnings(length, labels))

    @abstractmethod
    def open(self, threads: int) -> Source:
        """Opens the recording.

        Raises:
            InputError: it cannot be read.
        """

    def run(self, work: Work) -> None:
        labels = None if self.annotation_path is None else read_phases(self.annotation_path, self.phases)
        source = self.open(work.resources.threads)
        if min(source.width_px, source.height_px) < SMALLEST_SIDE_PX:
            raise InputError(
                f"{self.video_path} has frames of {source.width_px}×{source.height_px} px: give a recording of at "
                f"least {SMALLEST_SIDE_PX} pixels each way."
            )
        length = source.length_beside(labels)
        num_frames = _shared_length(self.name, length, labels)
        found = find_margins(source.samples(NUM_SAMPLES)) if self.cut_margins else Margins()
        margins = found or Margins()
        wanted = range(0, num_frames, self.step)
        rows = self._rows(source, margins, labels, wanted)
        num_rows = write_frames(
            work.output, _reported(rows, work, len(wanted)), source=self.video_digest, label_names=self.phases
        )
        audit = Audit(
            video=self.name,
            source_fps=round(source.fps, 6),
            width_px=source.width_px,
            height_px=source.height_px,
            num_frames_video=length,
            num_frames_annotation=None if labels is None else len(labels),
            num_frames_cut=0 if labels is None else abs(length - len(labels)),
            num_rows=num_rows,
            margins=margins.widths,
            phases=_phase_counts(labels, num_frames, self.phases),
            warnings=(*source.warnings, *_length_warnings(length, labels), *_margin_warnings(found)),
        )
        write_audit(work.output, audit)
        if audit.warnings:
            print(f"{audit.video}: {'; '.join(audit.warnings)}", flush=True)

    def _rows(self, source: Source, margins: Margins, labels: Labels | None, wanted: range) -> Iterator[Frame]:
        for index, image in source.images(wanted):
            label = UNLABELLED if labels is None else int(labels[index])
            yield Frame(index, label, resize(margins.cut(image), self.size_px))


@dataclass(frozen=True, kw_only=True)
class Video(Ingest):
    """The frame store of one mp4."""

    def open(self, threads: int) -> Source:
        timeline = read_timeline(self.video_path)
        return Source(
            fps=timeline.fps,
            width_px=timeline.width_px,
            height_px=timeline.height_px,
            num_frames=timeline.num_frames,
            samples=partial(read_key_frames, self.video_path, timeline),
            images=partial(read_frames, self.video_path, timeline, threads=threads),
            warnings=tuple(_timeline_warnings(timeline, self.step)),
        )

    def expected_seconds(self) -> float:
        return self.num_source_frames / FRAMES_PER_SECOND if self.num_source_frames else UNKNOWN_SECONDS


def _length_beside(num_frames: int, labels: Labels, slack: int) -> int:
    return min(max(num_frames, len(labels)), num_frames + slack)


def _shared_length(name: str, num_frames: int, labels: Labels | None) -> int:
    """The number of frames that video and annotation both have."""
    if labels is None:
        return num_frames
    if abs(num_frames - len(labels)) > TOLERATED_SECONDS * NOMINAL_FPS:
        raise InputError(
            f"{name} has {num_frames} frames but {len(labels)} annotated ones, more than {TOLERATED_SECONDS:g} s "
            f"({NOMINAL_FPS} frames) apart: make sure that the annotation is that of the video."
        )
    return min(num_frames, len(labels))


def _timeline_warnings(timeline: Timeline, step: int) -> Iterator[str]:
    if round(timeline.fps, 3) != NOMINAL_FPS:
        yield f"{timeline.fps:.3f} fps instead of {NOMINAL_FPS}, so rows are stored at {timeline.fps / step:.3f} fps"
    if timeline.num_missing:
        rows = sum(index not in timeline.timestamps for index in range(0, timeline.num_frames, step))
        yield f"{timeline.num_missing} frames are missing in the video, {rows} of which would have been rows"
    if timeline.num_surplus:
        yield f"{timeline.num_surplus} frames left out that are shown at another's time"


def _length_warnings(num_frames: int, labels: Labels | None) -> Iterator[str]:
    if labels is not None and num_frames != len(labels):
        shared = min(num_frames, len(labels))
        yield f"{num_frames} frames but {len(labels)} annotated ones: both cut to {shared}"


def _margin_warnings(found: Margins | None) -> Iterator[str]:
    if found is None:
        yield "too dark to find its margins, so none are cut"


def _phase_counts(labels: Labels | None, num_frames: int, phases: tuple[str, ...]) -> dict[str, int]:
    if labels is None:
        return {}
    shared = labels[:num_frames]
    counts = np.bincount(shared[shared != UNLABELLED], minlength=len(phases)).tolist()
    return {phase: count for phase, count in zip(phases, counts, strict=True) if count}


def _reported(rows: Iterable[Frame], work: Work, num_wanted: int) -> Iterator[Frame]:
    for count, row in enumerate(rows, start=1):
        yield row
        if count % REPORTED_EVERY == 0:
            work.progress(count / num_wanted)
