"""Names of phases in their order, from a data set that is known by name or from a file."""

import re
from dataclasses import dataclass
from pathlib import Path

from trainers.data.datasets import description
from trainers.data.datasets.description import BUILT_IN, ENDING, Description
from trainers.data.datasets.patterns import Pattern
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.annotations.cells import check_number_of_phases
from trainers.data.ingest.annotations.table import read_lines
from trainers.names import check_line
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class PhaseNames:
    """Phases in index order, and what a description says of the files that annotate them.

    Attributes:
        names: the names that rows of label files carry.
        first_number: the number of the first phase, where rows may carry numbers instead; None where they may not, for
            public code numbers the phases of Cholec80 and M2CAI16 in different ways.
        annotations: patterns of annotation files, where they are described.
        layout: the format of such files; None where it is found from their rows.
    """

    names: tuple[str, ...]
    first_number: int | None = None
    annotations: tuple[Pattern, ...] = ()
    layout: AnnotationFormat | None = None


def phase_names(name_or_path: str) -> PhaseNames:
    """The phases of a known data set, of a description, or of a file with one name per line.

    Lines of a file may begin with a number, `1 Preparation`; the numbers then count up by one. Where they do not, the
    first line is phase 0.

    Raises:
        InputError: there is no such data set or file, or the file does not name phases.
    """
    if name_or_path in BUILT_IN:
        return _described(description.builtin(name_or_path), first_number=None)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(BUILT_IN)
        raise InputError(
            f"--phases is {name_or_path!r}, which is neither a file nor one of {known}: give one of these."
        )
    return _described(description.load(path), first_number=0) if path.suffix == ENDING else _read(path)


def _described(found: Description, *, first_number: int | None) -> PhaseNames:
    if not found.phases:
        raise InputError(f"{found.source} names no phases, for its videos have no annotations: give one that does.")
    layout = found.annotation_format
    said = None if layout is None else layout.first_phase
    return PhaseNames(
        names=found.phases,
        first_number=first_number if said is None else said,
        annotations=found.annotations,
        layout=layout,
    )


def _read(path: Path) -> PhaseNames:
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty: write the name of a phase on every line, in the order of the phases.")
    check_number_of_phases([line for _, line in lines], str(path))
    numbered = [re.fullmatch(r"(\d+)[\s,;:]+(\S.*)", line) for _, line in lines]
    if not all(numbered):
        return _checked(path, lines, first_number=0)
    numbers = [int(match[1]) for match in numbered if match]
    for (line, _), found, due in zip(lines, numbers, range(numbers[0], numbers[0] + len(numbers)), strict=True):
        if found != due:
            raise InputError(f"{path}:{line} has number {found} where {due} is due: number the phases in their order.")
    names = [(line, match[2]) for (line, _), match in zip(lines, numbered, strict=True) if match]
    return _checked(path, names, first_number=numbers[0])


def _checked(path: Path, lines: list[tuple[int, str]], *, first_number: int) -> PhaseNames:
    places: dict[str, int] = {}
    for number, name in lines:
        check_line(name, f"the phase in {path}:{number}")
        if name in places:
            raise InputError(f"{path}:{number} names {name!r} again, after line {places[name]}: name each phase once.")
        places[name] = number
    return PhaseNames(names=tuple(places), first_number=first_number)
