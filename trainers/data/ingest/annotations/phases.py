"""Phase annotations of Cholec80 and M2CAI16: a row per frame, read whole or refused with the line that is wrong."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainers.data.ingest.annotations.table import LONGEST_SHOWN, read_lines, suggestion
from trainers.stage import InputError


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
    lines = read_lines(path)
    if len(lines) < 2:
        raise InputError(f"{path} is empty: copy it again from its source.")
    if re.match(r"\s*\d", lines[0]):
        raise InputError(f"{path}:1 is a row where the header 'Frame<TAB>Phase' should be: put the header back.")
    labels = np.empty(len(lines) - 1, np.int8)
    indices = {name: index for index, name in enumerate(phases)}
    for frame, line in enumerate(lines[1:]):
        labels[frame] = _phase_index(line, frame, indices, place=f"{path}:{frame + 2}")
    return labels


def _phase_index(line: str, frame: int, indices: dict[str, int], *, place: str) -> int:
    fields = [each[:LONGEST_SHOWN] for each in line.split()]
    if len(fields) != 2 or not fields[0].isdecimal():
        raise InputError(f"{place} reads {line[:LONGEST_SHOWN]!r} instead of 'frame<TAB>phase': correct the row.")
    if fields[0].lstrip("0") != (str(frame) if frame else ""):
        raise InputError(
            f"{place} is frame {fields[0]} where frame {frame} is due: put the missing or moved rows right."
        )
    if fields[1] not in indices:
        raise InputError(f"{place} names the unknown phase {fields[1]!r}: {suggestion(fields[1], list(indices))}")
    return indices[fields[1]]
