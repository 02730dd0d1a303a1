"""Columns of an annotation file: where its rows have phase, time, start and end."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.data.ingest.annotations.format import AnnotationFormat
from trainers.data.ingest.annotations.table import LONGEST_SHOWN, Row, read_rows, suggestion
from trainers.stage import InputError

HEADERS = frozenset({"phase", "phases", "label", "labels", "step", "steps", "class", "frame", "second", "time"})
"""What the first cell of a header says where no column has times, in small letters."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The rows of an annotation file below its header, and the indices of their columns."""

    path: Path
    rows: list[Row]
    phase: int
    time: int | None
    """Of the time of a row, or of the start of an interval; None where rows are counted."""
    end: int | None


def read_columns(path: Path, layout: AnnotationFormat, phases: Sequence[str]) -> Columns:
    """Reads an annotation file and finds its columns.

    Args:
        path: the file.
        layout: its format.
        phases: names of phases, which are no headers.

    Raises:
        InputError: the file cannot be read, has no rows, or lacks a column that the format names.
    """
    rows = read_rows(path, separator=layout.separator, num_columns=3 if layout.kind == "intervals" else 2)
    _refuse_wide_rows(rows)
    names = _names(layout, rows[0], width=max(len(row.cells) for row in rows))
    has_names = any(name and not name.isdecimal() for name in names)
    phase, time, end = (_index(name, rows[0], has_names=has_names) for name in names)
    assert phase is not None, "every format has a column with the phase"
    if has_names or _is_header(rows[0], time, phases):
        rows = rows[1:]
    if not rows:
        raise InputError(f"{path} has no rows below its header: copy it again from its source.")
    return Columns(path=path, rows=rows, phase=phase, time=time, end=end)


def _refuse_wide_rows(rows: Sequence[Row]) -> None:
    """Refuses a row with more cells than most rows have: which of them is meant cannot be told."""
    usual = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
    for row in rows:
        if any(row.cells[usual:]):
            shown = ", ".join(row.cells)[:LONGEST_SHOWN]
            raise InputError(
                f"{row.place} reads {shown!r}, with {len(row.cells)} columns where most rows have {usual}: correct it."
            )


def _names(layout: AnnotationFormat, header: Row, width: int) -> tuple[str, str, str]:
    """Names or numbers of the columns of phase, time or start, and end."""
    titles = {cell.casefold() for cell in header.cells}
    usual = ("2", "1", "")
    if layout.kind == "intervals":
        usual = ("phase", "start", "end") if {"phase", "start", "end"} <= titles else ("3", "1", "2")
    elif layout.kind == "csv":
        usual = ("phase", "", "")
    elif layout.kind == "second-rows" and width == 1:
        usual = ("1", "", "")
    return layout.phase or usual[0], layout.start or layout.time or usual[1], layout.end or usual[2]


def _index(name: str, header: Row, *, has_names: bool) -> int | None:
    """The index of a column that is given by its name or its number."""
    titles = [cell.casefold() for cell in header.cells] if has_names else []
    if not name:
        return None
    if titles.count(name.casefold()) > 1:
        raise InputError(f"{header.place} has the column {name!r} twice: rename one of them.")
    if name.casefold() in titles:
        return titles.index(name.casefold())
    if name.isdecimal() and int(name) > 0:
        return int(name) - 1
    raise InputError(f"{header.place} has no column {name!r}: {suggestion(name, header.cells)}")


def _is_header(row: Row, time: int | None, phases: Sequence[str]) -> bool:
    if time is not None and time < len(row.cells):
        return not re.match(r"[+-]?\d", row.cells[time])
    return row.cells[0].casefold() in HEADERS and row.cells[0] not in phases
