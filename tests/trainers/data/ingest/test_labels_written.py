"""What is written in any format of annotations is read back the same."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainers.data.ingest.annotations import AnnotationFormat, read_labels
from trainers.data.ingest.annotations.cells import exact_rate
from trainers.data.ingest.annotations.format import KINDS, UNITS

LETTERS = st.characters(categories=["Lu", "Ll"], max_codepoint=0x24F)
NAMES = st.builds(str.__add__, LETTERS, st.text(st.one_of(LETTERS, st.sampled_from(" -_'")), max_size=12)).map(
    str.strip
)
PHASES = st.lists(
    st.one_of(NAMES, st.sampled_from(["Step", "Label"])).filter(lambda name: name not in ("unlabelled", "Phase")),
    min_size=1,
    max_size=9,
    unique_by=str.casefold,
)
HOLE = -1


@dataclass(frozen=True)
class Written:
    """An annotation file: its format, the phases of its rows (−1: none), and how it is written."""

    layout: AnnotationFormat
    phases: list[str]
    rows: list[int]
    separator: str
    has_header: bool
    says_holes: bool
    new_line: str

    @property
    def rate(self) -> float:
        return exact_rate(self.layout.rate or 0)

    @property
    def unit_rate(self) -> float:
        return exact_rate(self.layout.frame_rate or self.layout.rate or 0)

    def phase(self, row: int) -> str:
        if row == HOLE:
            return self.layout.unlabelled[0]
        return self.phases[row] if self.layout.first_phase is None else str(self.layout.first_phase + row)

    def time(self, number: int) -> str:
        """The time at which a row begins."""
        seconds = number / self.rate
        if self.layout.unit == "frames":
            return str(round(seconds * self.unit_rate) + (self.layout.first or 0))
        if self.layout.unit == "seconds":
            return f"{seconds:.3f}" if self.separator == "," else f"{seconds:.3f}".replace(".", ",")
        thousandths = round(seconds * 1000)
        return f"{thousandths // 3_600_000}:{thousandths // 60_000 % 60:02}:{thousandths / 1000 % 60:06.3f}"


@st.composite
def files(draw: st.DrawFn) -> Written:
    kind, unit = draw(st.sampled_from(KINDS)), draw(st.sampled_from(UNITS))
    phases = [name for name in draw(PHASES) if name != "none"] or ["Access"]
    is_table = kind in ("csv", "intervals")
    rate = 1.0 if kind == "second-rows" else draw(st.sampled_from([0.5, 1.0, 5.0, 25.0, 29.97, 30.0, 59.94]))
    multiple = draw(st.sampled_from([1, 5])) if kind != "intervals" else 1
    layout = AnnotationFormat(
        kind=kind,
        rate=rate,
        unit=unit if is_table else "frames",
        frame_rate=rate * multiple if multiple > 1 and kind != "cholect50" else None,
        first=draw(st.sampled_from([0, 1])),
        phase="what" if is_table else "",
        time="when" if kind == "csv" and draw(st.booleans()) else "",
        start="from" if kind == "intervals" else "",
        end="to" if kind == "intervals" else "",
        first_phase=0 if kind == "cholect50" else draw(st.sampled_from([None, 0, 1])),
        unlabelled=("-1",) if kind == "cholect50" else (draw(st.sampled_from(["unlabelled", "none", "-1"])),),
        end_included=kind == "intervals" and unit == "frames" and draw(st.booleans()),
    )
    return Written(
        layout=layout,
        phases=phases,
        rows=draw(st.lists(st.integers(HOLE, len(phases) - 1), min_size=3, max_size=40)),
        separator=draw(st.sampled_from("\t;,")),
        has_header=draw(st.booleans()),
        says_holes=draw(st.booleans()),
        new_line=draw(st.sampled_from(["\n", "\r\n"])),
    )


def table_of_rows(file: Written) -> list[list[str]]:
    """Rows with a time, without those of holes where these are not said; and rows without a time."""
    timed = file.layout.kind != "csv" or bool(file.layout.time)
    header = [["when", "what"]] if file.layout.kind == "csv" else [["Frame", "Phase"]] * file.has_header
    if not timed or (file.layout.kind == "second-rows" and file.says_holes):
        return [row[1:] for row in header] + [[file.phase(row)] for row in file.rows]
    kept = [
        (k, row) for k, row in enumerate(file.rows) if file.says_holes or row != HOLE or k in (0, 1, len(file.rows) - 1)
    ]
    return header + [[file.time(k), file.phase(row)] for k, row in kept]


def table_of_intervals(file: Written) -> list[list[str]]:
    """Intervals in reverse order, which readers put right."""
    rows, number = [], 0
    for row, run in groupby(file.rows):
        length = len(list(run))
        end = number + length - (1 if file.layout.end_included else 0)
        if row != HOLE or file.says_holes or number + length == len(file.rows):
            rows.append([file.phase(row), file.time(number), file.time(end)])
        number += length
    return [["what", "from", "to"], *reversed(rows)]


def text_of(file: Written) -> str:
    if file.layout.kind == "cholect50":
        triplets = {str(k): [[-1] * 14 + [row]] for k, row in enumerate(file.rows)}
        return json.dumps({"fps": file.layout.rate, "annotations": triplets})
    write: Callable[[Written], Sequence[Sequence[str]]]
    write = table_of_intervals if file.layout.kind == "intervals" else table_of_rows
    return file.new_line.join(file.separator.join(row) for row in write(file)) + file.new_line


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=files())
def test_what_is_written_in_any_format_is_read_back_the_same(tmp_path: Path, file: Written):
    path = tmp_path / "annotation"
    path.write_bytes(text_of(file).encode())
    track = read_labels(path, file.phases, file.layout)
    starts = np.arange(len(file.rows)) / file.rate
    assert track.at(starts).tolist() == file.rows
    assert track.at(starts + 0.9 / file.rate).tolist() == file.rows
    assert track.seconds == pytest.approx(len(file.rows) / file.rate, abs=0.001)
    assert track.at(np.array([track.seconds + 0.01])).tolist() == [HOLE]
