"""Formats of label files that nobody described, as their own rows show them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.annotations.format import Unit
from trainers.data.ingest.annotations.table import LONGEST_SHOWN, Row, read_rows
from trainers.evaluation.phase_names import PhaseNames
from trainers.stage import InputError

Role = Literal["predictions", "annotations"]

FRAMES = ("frame", "frames", "frame_id", "frame_index", "frame_number", "frame_idx", "index", "idx")
SECONDS = ("second", "seconds", "sec", "time", "timestamp", "time_s")
PHASES: dict[Role, tuple[str, ...]] = {
    "predictions": ("prediction", "predicted", "pred", "predicted_phase", "pred_phase", "phase", "label", "class"),
    "annotations": ("phase", "label", "truth", "ground_truth", "gt", "target", "class"),
}
"""Titles of columns in small letters; of several, the first counts."""
UNLABELLED = ("unlabelled", "unlabeled", "-1")
NUMBER = re.compile(r"-?\d+(\.0*)?")
TIME = re.compile(r"\d+([.,]\d*)?|(\d+:)?\d+:\d+([.,]\d*)?")
LOOKED_AT = 1000
"""Rows that tell the distance of rows."""


@dataclass(frozen=True, kw_only=True)
class FoundFormat:
    """What the rows of a label file show.

    Attributes:
        path: the file.
        layout: its format, but for the rate of its rows.
        num_rows: rows below the header.
        step: by how much the frame number grows from row to row; 1 where there is none.
        rate: rows per second, where the rows tell the time; else None.
    """

    path: Path
    layout: AnnotationFormat
    num_rows: int
    step: int = 1
    rate: float | None = None

    @property
    def is_of_intervals(self) -> bool:
        """Whether a row is a stretch of time."""
        return self.layout.kind == "intervals"

    def at(self, rate: float) -> AnnotationFormat:
        """The format, where so many rows make a second unless they tell the time."""
        rate = self.rate or rate
        return replace(self.layout, rate=rate, frame_rate=rate * self.step if self.layout.unit == "frames" else None)


@dataclass(frozen=True)
class _Columns:
    """Places of the columns of a file, and its format as far as they show it."""

    layout: AnnotationFormat
    phase: int
    time: int | None = None
    """Of the start, where rows are intervals."""
    counts_seconds: bool = False


def found_format(path: Path, role: Role, names: PhaseNames) -> FoundFormat:
    """The format of a file of predictions or annotations.

    Raises:
        InputError: the file cannot be read, its rows are of no known form, or carry numbers where `names` gives none.
    """
    rows = read_rows(path, num_columns=2)
    titles = [cell.casefold() for cell in rows[0].cells]
    titled = _columns_by_title(rows[0], titles, role)
    columns = titled or _columns_by_width(rows[0])
    rows = rows[1:] if titled else rows
    if not rows:
        raise InputError(f"{path} has no rows below its header: copy it again from its source.")
    layout = replace(columns.layout, unlabelled=UNLABELLED, first_phase=_first_phase(rows, columns.phase, names))
    return _timed(FoundFormat(path=path, layout=layout, num_rows=len(rows)), rows, columns)


def _is_time(cell: str) -> bool:
    return TIME.fullmatch(cell) is not None


def _columns_by_title(header: Row, titles: list[str], role: Role) -> _Columns | None:
    """The columns that a header names; None where the first row is none."""
    if _is_time(titles[0]) or (len(titles) == 1 and titles[0] not in PHASES[role]):
        return None
    time = next((title for title in (*FRAMES, *SECONDS) if title in titles), "")
    phase = next((title for title in PHASES[role] if title in titles), None)
    if phase is None and len(titles) == 2 and titles[0] == time:
        phase = titles[1]
    if phase is None:
        shown, known = ", ".join(header.cells)[:LONGEST_SHOWN], ", ".join(PHASES[role])
        raise InputError(f"{header.place} reads {shown!r}, without a column of phases: name one of them {known}.")
    place = titles.index(phase)
    if {"start", "end"} <= set(titles):
        layout = AnnotationFormat(kind="intervals", phase=phase, start="start", end="end")
        return _Columns(layout, place, titles.index("start"), counts_seconds=True)
    layout = AnnotationFormat(kind="csv", phase=phase, time=time)
    return _Columns(layout, place, titles.index(time) if time else None, counts_seconds=time in SECONDS)


def _columns_by_width(row: Row) -> _Columns:
    """The columns of a file without a header."""
    cells = row.cells
    if len(cells) == 1:
        return _Columns(AnnotationFormat(kind="csv", phase="1"), 0)
    if len(cells) == 3 and _is_time(cells[1]) and not _is_time(cells[2]):
        return _Columns(AnnotationFormat(kind="intervals"), 2, 0, counts_seconds=True)
    if len(cells) == 2:
        return _Columns(AnnotationFormat(kind="frame-rows"), 1, 0)
    shown = ", ".join(cells)[:LONGEST_SHOWN]
    raise InputError(
        f"{row.place} reads {shown!r}: give rows of frame and phase, of a phase alone, or of start, end and phase, "
        "or a header that names the columns."
    )


def _first_phase(rows: list[Row], column: int, names: PhaseNames) -> int | None:
    """The number of the first phase, where rows carry numbers of phases; None where they carry names.

    Raises:
        InputError: rows carry numbers, and nothing says which phase they mean.
    """
    cells = dict.fromkeys(row.cell(column, "phase") for row in rows)
    known = {*names.names, *UNLABELLED, ""}
    numbers = [cell for cell in cells if cell not in known]
    if not numbers or not all(NUMBER.fullmatch(cell) for cell in numbers):
        return None
    place = next(row.place for row in rows if row.cells[column] == numbers[0])
    if names.first_number is None:
        raise InputError(
            f"{place} has the number {numbers[0]} for a phase, and public code numbers phases in different ways: write "
            "names, or give --phases a file with the names in the order of the numbers, the first of them 0."
        )
    return names.first_number


def _timed(found: FoundFormat, rows: list[Row], columns: _Columns) -> FoundFormat:
    """The format with the unit, first number and step that the column of the time shows."""
    if columns.time is None:
        return found
    cells = [row.cell(columns.time, "time") for row in rows]
    unit = _unit(cells, counts_seconds=columns.counts_seconds)
    if found.is_of_intervals or unit != "frames":
        rate = None if found.is_of_intervals else _rate_of_times(cells[:LOOKED_AT])
        return replace(found, layout=replace(found.layout, unit=unit), rate=rate)
    first, step = _first_and_step(rows, cells)
    return replace(found, layout=replace(found.layout, first=first), step=step)


def _unit(cells: Sequence[str], *, counts_seconds: bool) -> Unit:
    if any(":" in cell for cell in cells):
        return "hh:mm:ss"
    return "seconds" if counts_seconds or any("." in cell or "," in cell for cell in cells) else "frames"


def _rate_of_times(cells: Sequence[str]) -> float | None:
    """Rows per second by the usual distance of rows; None for what is no time, which reading refuses by its line."""
    if len(cells) < 2 or not all(map(_is_time, cells)):
        return None
    parts = ([float(part.replace(",", ".")) for part in cell.split(":")] for cell in cells)
    seconds = [sum(part * 60**place for place, part in enumerate(reversed(each))) for each in parts]
    step = (seconds[-1] - seconds[0]) / (len(seconds) - 1)
    return round(1 / step, 3) if step > 0 else None


def _first_and_step(rows: list[Row], cells: Sequence[str]) -> tuple[int, int]:
    """The number of the first row, 0 or 1, and the usual distance of numbers."""
    numbers = [int(cell) if cell.isdecimal() else -1 for cell in cells[:LOOKED_AT]]
    if numbers[0] not in (0, 1):
        raise InputError(f"{rows[0].place} begins with {cells[0]!r}: frames are numbered from 0, or from 1.")
    step = int(np.median(np.diff(numbers))) if len(numbers) > 1 else 1
    return numbers[0], max(step, 1)
