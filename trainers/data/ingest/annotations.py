"""Phase annotations: a text file with a row per frame, read whole or refused with the line that is wrong."""

import codecs
import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainers.stage import InputError

LARGEST_BYTES = 256 * 2**20
"""Of an annotation: a day at 25 fps has a third of that."""
LONGEST_SHOWN = 100
"""Characters of a row that an error shows."""


def read_phases(path: Path, phases: Sequence[str]) -> np.ndarray:
    """Reads an annotation file: a header line, then a row `frame<TAB>phase` per 25-fps frame.

    Args:
        path: the file, such as `video01-phase.txt`.
        phases: the names a row may carry, in index order.

    Returns:
        The phase index of every frame (num_frames, int8).

    Raises:
        InputError: the file is missing, empty, malformed, skips or repeats a frame, or names an unknown phase.
    """
    lines = _lines(path)
    if len(lines) < 2:
        raise InputError(f"{path} is empty: copy it again from its source.")
    if re.match(r"\s*\d", lines[0]):
        raise InputError(f"{path}:1 is a row where the header 'Frame<TAB>Phase' should be: put the header back.")
    labels = np.empty(len(lines) - 1, np.int8)
    indices = {name: index for index, name in enumerate(phases)}
    for frame, line in enumerate(lines[1:]):
        labels[frame] = _phase_index(line, frame, indices, place=f"{path}:{frame + 2}")
    return labels


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path} is larger than {LARGEST_BYTES >> 20} MiB: no annotation of a video is.")
        return path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: copy it from its source.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): put the annotation's file in its place.") from None
    except UnicodeDecodeError as error:
        if path.read_bytes()[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"{path} is in UTF-16: save it as UTF-8.") from None
        raise InputError(f"{path} is not a text file (byte {error.start}): copy it again from its source.") from None


def _phase_index(line: str, frame: int, indices: dict[str, int], *, place: str) -> int:
    fields = [each[:LONGEST_SHOWN] for each in line.split()]
    if len(fields) != 2 or not fields[0].isdecimal():
        raise InputError(f"{place} reads {line[:LONGEST_SHOWN]!r} instead of 'frame<TAB>phase': correct the row.")
    if fields[0].lstrip("0") != (str(frame) if frame else ""):
        raise InputError(
            f"{place} is frame {fields[0]} where frame {frame} is due: put the missing or moved rows right."
        )
    if fields[1] not in indices:
        raise InputError(f"{place} names the unknown phase {fields[1]!r}: {_suggestion(fields[1], list(indices))}")
    return indices[fields[1]]


def _suggestion(name: str, valid: list[str]) -> str:
    nearest = difflib.get_close_matches(name, valid, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"it has to be one of {', '.join(valid)}."
