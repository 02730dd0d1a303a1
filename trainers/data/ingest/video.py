"""Ingest of a recording into its frame store: one stage per video, with an audit."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from trainers.artifacts.audit import Audit, write_audit
from trainers.data.frames import Frame, FrameSource, write_frames
from trainers.data.ingest.annotations import AnnotationFormat, LabelTrack, read_labels, read_phases
from trainers.data.ingest.annotations.track import track_of_rows
from trainers.data.ingest.decoder import decoder_versions, other_decoder
from trainers.data.ingest.decoding import Seen, read_frames, read_key_frames, read_numbered
from trainers.data.ingest.indexed_rows import length_warnings, rows_by_index, shared_length
from trainers.data.ingest.kept_timeline import kept_timeline
from trainers.data.ingest.looks import Oddity
from trainers.data.ingest.margins import NUM_SAMPLES, Margins, find_margins, resize
from trainers.data.ingest.remarks import remarks, time_remarks
from trainers.data.ingest.rows import Rows
from trainers.data.ingest.source import Labels, Source, length_beside
from trainers.data.ingest.timed_rows import length_warnings_by_time, refuse_other_length, rows_by_time
from trainers.data.ingest.timeline import EXACT_SECONDS, NOMINAL_FPS, Timeline
from trainers.data.ingest.video_file import irregularity, irregularity_by_time, read_timeline
from trainers.fields import CountOrZero, Pixels, Rate, added
from trainers.stage import InputError, Work

Timing = Literal["index", "seconds"]

REPORTED_EVERY = 500
FRAMES_PER_SECOND = 900
"""Source frames of 854×480 pixels that the reference machine ingests per second."""
UNKNOWN_SECONDS = 60.0
BYTES_PER_PIXEL = 0.4
"""Of a stored frame, at the usual size."""
SMALLEST_SIDE_PX = 16
"""Of a frame in which anything can be seen."""


@dataclass(frozen=True, kw_only=True)
class Ingest(FrameSource):
    """The frame store of one recording: margins cut, frames resized, phases beside them.

    Raises:
        InputError: `fps` is above 25, or does not divide it where rows are counted by index.
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
    timing: Timing = added("index")
    """Whether row k is the frame of index k · 25 / fps and has that row of the annotation, or whether it is the frame
    that a player shows at k / fps seconds after the first and has the label that is valid then, whatever the rates."""
    fps: Rate = 5.0
    """Rate of the stored rows, at most 25; by index, it divides the annotations' 25 fps."""
    size_px: Pixels = 250
    """Side of the square that frames are stretched to."""
    cut_margins: bool = True
    video_path: Path = field(compare=False)
    annotation_path: Path | None = field(compare=False)
    own_fps: Rate = field(default=float(NOMINAL_FPS), compare=False)
    """The recording's own rate, as registration saw it: an annotation may have a row for each of its frames."""
    num_source_frames: CountOrZero = field(default=0, compare=False)
    """Length of the recording, where it is known already, in frames of its own rate, or of 25 per second where rows are
    taken by time; only estimates and `examine` use it."""
    stretches: tuple[tuple[CountOrZero, CountOrZero], ...] = field(default=(), compare=False)
    """Black or frozen stretches: values of the column `frame`, from the first up to, not including, the second."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert (self.annotation_digest is None) == (self.annotation_path is None), "an annotation has digest and path"
        if self.timing == "seconds" and self.fps > NOMINAL_FPS:
            raise InputError(f"fps is {self.fps:g}: give at most {NOMINAL_FPS} rows per second.")
        if self.timing == "index" and (self.fps > NOMINAL_FPS or NOMINAL_FPS % self.fps):
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
        if self.timing == "seconds":
            return self.beside_track()
        _, warnings = self.beside_annotation()
        return warnings

    def beside_track(self, slack_seconds: float = 0) -> tuple[str, ...]:
        """Warnings as `examine` returns them, of rows by time.

        Args:
            slack_seconds: by how much longer the recording may have been.
        """
        seconds, layout = self.num_source_frames / NOMINAL_FPS, self.annotation_format or AnnotationFormat()
        track = self.track(self.own_fps)
        refuse_other_length(self.name, (seconds, seconds + slack_seconds), track, layout)
        return tuple(f"lasts {warning}" for warning in length_warnings_by_time(seconds, track))

    def beside_annotation(self, slack: int = 0) -> tuple[int, tuple[str, ...]]:
        """The number of frames that recording and annotation both have, and warnings as `examine` returns them.

        Args:
            slack: number of further frames that the recording may have had.
        """
        if self.annotation_path is None:
            return self.num_source_frames, ()
        labels = self.annotated_at(NOMINAL_FPS)
        length = length_beside(self.num_source_frames, labels, slack)
        shared = shared_length(self.name, length, labels)
        return shared, tuple(f"has {warning}" for warning in length_warnings(length, labels))

    @abstractmethod
    def open(self, threads: int) -> Source:
        """Opens the recording.

        Raises:
            InputError: it cannot be read.
        """

    def run(self, work: Work) -> None:
        source = self.open(work.resources.threads)
        if min(source.width_px, source.height_px) < SMALLEST_SIDE_PX:
            raise InputError(
                f"{self.video_path} has frames of {source.width_px}×{source.height_px} px: give a recording of at "
                f"least {SMALLEST_SIDE_PX} pixels each way."
            )
        rows = self._rows(source)
        margins, margin_warnings = self._margins(source)
        num_rows = write_frames(
            work.output,
            _reported(self._frames(rows, margins), work, len(rows.indices)),
            source=self.video_digest,
            label_names=self.phases,
        )
        audit = Audit(
            video=self.name,
            source_fps=round(source.fps, 6),
            width_px=source.width_px,
            height_px=source.height_px,
            num_frames_video=rows.num_video,
            num_frames_annotation=rows.num_annotated,
            num_frames_cut=rows.num_cut,
            num_rows=num_rows,
            margins=margins.widths,
            phases=rows.phases,
            warnings=(*source.warnings, *source.seen(), *rows.warnings, *margin_warnings),
        )
        write_audit(work.output, audit)
        if audit.warnings:
            print(f"{audit.video}: {'; '.join(audit.warnings)}", flush=True)

    def annotated_at(self, fps: float) -> Labels:
        """The labels of the whole annotation at a constant rate, −1 where it has none (int8).

        Raises:
            InputError: the annotation is missing or malformed.
        """
        track = self.track(self.own_fps)
        if track is None:
            raise InputError(f"{self.name} has no annotation: leave it out of the test videos, or ingest it with one.")
        return track.at(np.arange(math.ceil(track.seconds * fps - EXACT_SECONDS)) / fps)

    def track(self, video_fps: float) -> LabelTrack | None:
        """The labels of the annotation by time; None without one.

        Args:
            video_fps: the recording's own rate, for an annotation with a row per frame at whatever rate.

        Raises:
            InputError: the annotation is missing or malformed.
        """
        if self.annotation_path is None:
            return None
        if self.annotation_format is not None:
            return read_labels(self.annotation_path, self.phases, self.annotation_format, video_fps=video_fps)
        labels = read_phases(self.annotation_path, self.phases)
        return track_of_rows(np.arange(len(labels)) / NOMINAL_FPS, labels, NOMINAL_FPS)

    def _rows(self, source: Source) -> Rows:
        if self.timing == "seconds":
            layout = self.annotation_format or AnnotationFormat()
            return rows_by_time(self.name, source, self.fps, self.track(source.fps), layout, self.phases)
        labels = None if self.annotation_path is None else self.annotated_at(NOMINAL_FPS)
        return rows_by_index(self.name, source, self.step, labels, self.phases)

    def _frames(self, rows: Rows, margins: Margins) -> Iterator[Frame]:
        for row, image in rows.images:
            yield Frame(int(rows.indices[row]), int(rows.labels[row]), resize(margins.cut(image), self.size_px))

    def _margins(self, source: Source) -> tuple[Margins, tuple[str, ...]]:
        """The margins to cut, and warnings on them."""
        found = find_margins(source.samples(NUM_SAMPLES)) if self.cut_margins else Margins()
        return found or Margins(), tuple(_margin_warnings(found))


@dataclass(frozen=True, kw_only=True)
class Video(Ingest):
    """The frame store of one video file."""

    oddities: tuple[Oddity, ...] = added(())
    """What is odd about its pixels, as registration saw it; what is done about it, the file itself decides."""
    timeline_path: Path | None = field(default=None, compare=False)
    """The file that registration kept the timeline in: where it is not there, the video is read for it."""

    def open(self, threads: int) -> Source:
        kept, seen = kept_timeline(self.timeline_path, self.video_path), Seen()
        timeline = kept or read_timeline(self.video_path)
        by_index = self.timing == "index"
        irregular = (irregularity if by_index else irregularity_by_time)(self.video_path, timeline)
        if irregular:
            raise InputError(irregular)
        return Source(
            fps=timeline.fps if by_index else float(timeline.rate),
            width_px=timeline.width_px,
            height_px=timeline.height_px,
            num_frames=timeline.num_frames if by_index else round(timeline.seconds * timeline.rate),
            end_seconds=timeline.end_seconds,
            samples=partial(read_key_frames, self.video_path, timeline),
            images=partial(read_frames, self.video_path, timeline, threads=threads, seen=seen),
            frame_at=timeline.frame_at,
            shown=partial(read_numbered, self.video_path, timeline, threads=threads, seen=seen),
            warnings=tuple(_timeline_warnings(timeline, self.step)) if by_index else time_remarks(timeline),
            seen=lambda: remarks(timeline, seen),
        )

    def library_versions(self) -> Mapping[str, str]:
        return decoder_versions()

    def other_versions(self, recorded: Mapping[str, str]) -> str:
        return other_decoder(recorded)

    def expected_seconds(self) -> float:
        return self.num_source_frames / FRAMES_PER_SECOND if self.num_source_frames else UNKNOWN_SECONDS


def _timeline_warnings(timeline: Timeline, step: int) -> Iterator[str]:
    if round(timeline.fps, 3) != NOMINAL_FPS:
        yield f"{timeline.fps:.3f} fps instead of {NOMINAL_FPS}, so rows are stored at {timeline.fps / step:.3f} fps"
    if timeline.num_missing:
        rows = sum(index not in timeline.timestamps for index in range(0, timeline.num_frames, step))
        yield f"{timeline.num_missing} frames are missing in the video, {rows} of which would have been rows"
    if timeline.num_surplus:
        yield f"{timeline.num_surplus} frames left out that are shown at another's time"


def _margin_warnings(found: Margins | None) -> Iterator[str]:
    if found is None:
        yield "too dark to find its margins, so none are cut"


def _reported(rows: Iterable[Frame], work: Work, num_wanted: int) -> Iterator[Frame]:
    for count, row in enumerate(rows, start=1):
        yield row
        if count % REPORTED_EVERY == 0:
            work.progress(count / num_wanted)
