"""Table of an annotation file: its rows as cells, with the line that each one has in the file."""

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.names import alike
from trainers.stage import InputError

LARGEST_BYTES = 256 * 2**20
"""Of an annotation: a day at 25 fps has a third of that."""
LONGEST_SHOWN = 100
"""Characters of a row that an error shows."""
SEPARATORS = ("\t", ";", ",")


@dataclass(frozen=True)
class Row:
    """One row of an annotation file."""

    place: str
    """`FILE:LINE`, for messages."""
    cells: tuple[str, ...]

    def cell(self, column: int, what: str) -> str:
        """The cell of a column, counted from 0.

        Raises:
            InputError: the row has fewer columns.
        """
        if column >= len(self.cells):
            shown = ", ".join(self.cells)[:LONGEST_SHOWN]
            raise InputError(f"{self.place} reads {shown!r}, without column {column + 1} for the {what}: correct it.")
        return self.cells[column]


def read_lines(path: Path) -> list[str]:
    """The lines of an annotation file, without empty ones at its end.

    Raises:
        InputError: the file is missing, cannot be read, is too large, or is no text in UTF-8.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path} is larger than {LARGEST_BYTES >> 20} MiB: no annotation of a video is.")
        return path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: copy it from its source.") from None
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): let this user read it.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): put the annotation's file in its place.") from None
    except UnicodeDecodeError as error:
        if path.read_bytes()[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"{path} is in UTF-16: save it as UTF-8.") from None
        raise InputError(f"{path} is not a text file (byte {error.start}): copy it again from its source.") from None


def read_rows(path: Path, *, separator: str = "", num_columns: int) -> list[Row]:
    """The rows of an annotation file, its header among them where it has one; empty lines are left out.

    Args:
        path: the file.
        separator: between two cells; empty for the one that the first row has.
        num_columns: how many columns white space divides, where rows begin with a number; the last may hold more of it.

    Raises:
        InputError: the file cannot be read, or has no rows.
    """
    lines = read_lines(path)
    separator = separator or next((each for each in SEPARATORS if lines and each in lines[0]), "")
    if separator:
        cells = _between(lines, separator)
    elif lines and lines[-1][:1].isdigit():
        cells = (tuple(line.split(None, num_columns - 1)) for line in lines)
    else:
        cells = ((line.strip(),) for line in lines)
    rows = [Row(f"{path}:{number}", row) for number, row in enumerate(cells, start=1) if any(row)]
    if not rows:
        raise InputError(f"{path} is empty: copy it again from its source.")
    width = max(len(row.cells) - (row.cells[-1] == "") for row in rows)  # rows may end with a separator
    return [Row(row.place, row.cells[:width]) for row in rows]


def _between(lines: Sequence[str], separator: str) -> Iterator[tuple[str, ...]]:
    """The cells of each line; a quotation mark that is never closed takes no other line into its cell."""
    for line in lines:
        quoted = len(separator) == 1 and line.count('"') % 2 == 0
        cells = next(csv.reader([line], delimiter=separator), []) if quoted else line.split(separator)
        yield tuple(cell.strip() for cell in cells)


def suggestion(name: str, valid: Sequence[str]) -> str:
    """What to say of a name that is none of the valid ones."""
    nearest = alike(name, valid)
    return f"did you mean {nearest[0]!r}?" if nearest else f"it has to be one of {', '.join(valid)}."
