"""Names of phases in their order, from a data set that is known by name or from a file."""

import re
from dataclasses import dataclass
from pathlib import Path

from trainers.data.datasets import cholec80, m2cai16
from trainers.data.ingest.annotations.cells import check_number_of_phases
from trainers.data.ingest.annotations.table import read_lines
from trainers.names import check_line
from trainers.stage import InputError

BUILT_IN = {"cholec80": cholec80.PHASES, "m2cai16": m2cai16.PHASES}


@dataclass(frozen=True, kw_only=True)
class PhaseNames:
    """Phases in index order.

    Attributes:
        names: the names that rows of label files carry.
        first_number: the number of the first phase, where rows may carry numbers instead; None where they may not, for
            public code numbers the phases of the known data sets in different ways.
    """

    names: tuple[str, ...]
    first_number: int | None = None


def phase_names(name_or_path: str) -> PhaseNames:
    """The phases of a known data set, or of a file with one name per line.

    Lines of a file may begin with a number, `1 Preparation`; the numbers then count up by one. Where they do not, the
    first line is phase 0.

    Raises:
        InputError: there is no such data set or file, or the file does not name phases.
    """
    if name_or_path in BUILT_IN:
        return PhaseNames(names=BUILT_IN[name_or_path])
    path = Path(name_or_path)
    if not path.is_file():
        known = " or ".join(BUILT_IN)
        raise InputError(f"--phases is {name_or_path!r}, which is neither {known} nor a file: give one of these.")
    return _read(path)


def _read(path: Path) -> PhaseNames:
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty: write the name of a phase on every line, in the order of the phases.")
    check_number_of_phases([line for _, line in lines], str(path))
    numbered = [re.fullmatch(r"(\d+)[\s,;:]+(\S.*)", line) for _, line in lines]
    if not all(numbered):
        return _checked(path, [(number, line) for number, line in lines], first_number=0)
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
