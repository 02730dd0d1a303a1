"""Labels of a recording, read from an annotation file of any format."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from trainers.data.ingest.annotations.cells import check_number_of_phases, exact_rate, phase_reader, time_reader
from trainers.data.ingest.annotations.columns import Columns, read_columns
from trainers.data.ingest.annotations.format import AnnotationFormat
from trainers.data.ingest.annotations.table import Row
from trainers.data.ingest.annotations.track import ROUNDING_SECONDS, LabelTrack, track_of_rows
from trainers.data.ingest.annotations.triplets import read_triplets
from trainers.stage import InputError

PhaseReader = Callable[[str, str], int]
OPEN_ENDS = ("", "-", "–", "?", "...", "…", "end", "none", "null", "n/a")
"""What an interval without an end says, in small letters."""
MOST_DEVIATION = 0.1
"""By how much the usual distance of rows may differ from what their rate says."""


def read_labels(
    path: Path, phases: Sequence[str], layout: AnnotationFormat, *, video_fps: float | None = None
) -> LabelTrack:
    """Reads an annotation file.

    Args:
        path: the file.
        phases: the names of the phases, in index order.
        layout: the format of the file.
        video_fps: the rate of the recording; needed where the format has a row per frame at whatever rate.

    Raises:
        InputError: the file is missing, empty or malformed, or names an unknown phase.
    """
    check_number_of_phases(phases, str(path))
    rate = layout.rate or video_fps
    if not rate:
        raise InputError(f"{path} has a row per frame: give the frames per second as `rate` in the description.")
    phase_of = phase_reader(phases, layout)
    if layout.kind == "cholect50":
        return read_triplets(path, phase_of, exact_rate(rate))
    columns = read_columns(path, layout, phases)
    if layout.kind == "intervals":
        return _intervals(columns, layout, phase_of, exact_rate(layout.frame_rate or rate))
    return _rows(columns, layout, phase_of, exact_rate(rate))


def _rows(columns: Columns, layout: AnnotationFormat, phase_of: PhaseReader, rate: float) -> LabelTrack:
    rows = columns.rows
    labels = np.array([phase_of(row.cell(columns.phase, "phase"), row.place) for row in rows], np.int8)
    if columns.time is None:
        return track_of_rows(np.arange(len(labels)) / rate, labels, rate)
    column, seconds_of = columns.time, time_reader(layout, exact_rate(layout.frame_rate or rate))
    if layout.unit == "frames" and layout.first is None and rows[0].cell(column, "time") == "1":
        raise InputError(
            f"{rows[0].place} begins with number 1: give `first = 1` in the description if the first frame has it, "
            "or `first = 0` if a row is missing before it."
        )
    times = np.array([seconds_of(row.cell(column, "time"), row.place) for row in rows])
    _check_times(rows, times, layout, rate)
    return track_of_rows(times, labels, rate)


def _check_times(rows: list[Row], times: np.ndarray, layout: AnnotationFormat, rate: float) -> None:
    """Refuses rows that go back in time, come at another rate, or leave something out that may not be."""
    steps = np.diff(times)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        raise InputError(f"{rows[back[0] + 1].place} is not later than the row before it: put the rows in order.")
    if len(steps) and (min(steps) * rate > 1 + MOST_DEVIATION or np.median(steps) * rate < 1 - MOST_DEVIATION):
        raise InputError(
            f"{rows[0].place} begins rows that are {np.median(steps):g} s apart instead of {rate:g} per second: "
            "correct `rate` in the description, or `frame_rate` if the column counts frames at another rate."
        )
    gaps = np.flatnonzero(np.append(times[0] + 1 / rate, steps) * rate > 1.5)
    if len(gaps) and not layout.holes:
        raise InputError(f"{rows[gaps[0]].place} comes after a hole, which is an error here: add the missing rows.")


def _intervals(columns: Columns, layout: AnnotationFormat, phase_of: PhaseReader, rate: float) -> LabelTrack:
    assert columns.time is not None, "intervals have a start"
    assert columns.end is not None, "intervals have an end"
    seconds_of = time_reader(layout, rate)
    unit = (1 / rate if layout.unit == "frames" else 1.0) if layout.end_included else 0.0
    spans = []
    for row in columns.rows:
        start = seconds_of(row.cell(columns.time, "start"), row.place)
        end = seconds_of(_closed(row, columns.end), row.place) + unit
        if end <= start:
            raise InputError(f"{row.place} ends at {end:g} s, not after its start at {start:g} s: correct the row.")
        spans.append((start, end, phase_of(row.cell(columns.phase, "phase"), row.place), row.place))
    return _track(sorted(spans), layout)


def _closed(row: Row, column: int) -> str:
    """The cell that ends an interval."""
    cell = row.cell(column, "end")
    if cell.casefold() in OPEN_ENDS:
        written = f"is {cell!r}" if cell else "is empty"
        raise InputError(
            f"{row.place} leaves its interval open, as its end {written}: write when it ends, the length of the "
            "recording for the last one."
        )
    return cell


def _track(spans: list[tuple[float, float, int, str]], layout: AnnotationFormat) -> LabelTrack:
    for (_, end, _, before), (start, _, _, place) in pairwise(spans):
        if start < end - ROUNDING_SECONDS:
            raise InputError(f"{place} starts at {start:g} s, before {before} ends at {end:g} s: correct one of them.")
        if start > end + ROUNDING_SECONDS and not layout.holes:
            raise InputError(
                f"{place} comes after a hole of {start - end:g} s, which is an error here: add what is missing."
            )
    starts, ends, labels = (np.array([span[field] for span in spans]) for field in range(3))
    following = np.append(starts[1:], np.inf)
    ends = np.where(np.abs(following - ends) <= ROUNDING_SECONDS, following, ends)
    return LabelTrack(starts=starts, ends=ends, labels=labels.astype(np.int8), seconds=float(ends[-1]))
