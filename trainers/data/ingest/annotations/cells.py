"""Cells of an annotation file: the phase or the time that one of them gives."""

import re
from collections.abc import Callable, Sequence

from trainers.data.frames import UNLABELLED
from trainers.data.ingest.annotations.format import AnnotationFormat
from trainers.data.ingest.annotations.table import LONGEST_SHOWN, suggestion
from trainers.stage import InputError

MOST_PHASES = 127
"""Labels are stored in a byte."""


def check_number_of_phases(phases: Sequence[str], place: str) -> None:
    """Refuses more phases than a label can name.

    Raises:
        InputError: there are more than 127.
    """
    if len(phases) > MOST_PHASES:
        raise InputError(f"{place} has {len(phases)} phases: labels are stored in a byte, give at most {MOST_PHASES}.")


def exact_rate(rate: float) -> float:
    """A rate such as 29.97 as what it stands for, 30000/1001."""
    ntsc = round(rate * 1.001) / 1.001
    return ntsc if abs(rate - ntsc) < 0.005 < abs(rate - round(rate)) else rate


def phase_reader(phases: Sequence[str], layout: AnnotationFormat) -> Callable[[str, str], int]:
    """A function of a cell and its place: the index of the phase that the cell names, −1 where it names none."""
    first = layout.first_phase
    names = list(phases) if first is None else [str(first + index) for index in range(len(phases))]
    indices = {name: index for index, name in enumerate(names)}
    words = {word: phases.index(phase) for word, phase in layout.phase_names}
    known = dict.fromkeys(("", *layout.unlabelled), UNLABELLED) | indices | words

    def read(cell: str, place: str) -> int:
        if cell in known:
            return known[cell]
        number = re.fullmatch(r"0*(\d+)(\.0*)?", cell)
        if first is not None and number and number[1] in known:
            return known[number[1]]
        named = cell[:LONGEST_SHOWN]
        raise InputError(f"{place} names the unknown phase {named!r}: {suggestion(named, [*names, *words])}")

    return read


def time_reader(layout: AnnotationFormat, rate: float) -> Callable[[str, str], float]:
    """A function of a cell and its place: the seconds that the cell says; `rate` is that of the unit `frames`."""
    first = layout.first or 0

    def read(cell: str, place: str) -> float:
        if layout.unit == "frames" and re.fullmatch(r"\d{1,9}", cell):
            if int(cell) < first:
                raise InputError(f"{place} has the number {cell}, before the first, {first}: correct the row.")
            return (int(cell) - first) / rate
        if layout.unit == "seconds" and re.fullmatch(r"\d{1,9}([.,]\d*)?", cell):
            return float(cell.replace(",", "."))
        clock = re.fullmatch(r"(?:(\d{1,3}):(?=[0-5]?\d:))?(\d{1,3}):([0-5]\d(?:[.,]\d*)?)", cell)
        if layout.unit == "hh:mm:ss" and clock:
            hours, minutes, seconds = clock.groups()
            return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
        raise InputError(f"{place} has {cell[:LONGEST_SHOWN]!r} where a time in {layout.unit} is due: correct the row.")

    return read
