"""Annotations of CholecT50: a JSON file with the triplets of every frame, each of which ends with the phase."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trainers.data.frames import UNLABELLED
from trainers.data.ingest.annotations.table import LONGEST_SHOWN, read_lines
from trainers.data.ingest.annotations.track import LabelTrack, track_of_rows
from trainers.stage import InputError

PHASE = 14
"""Place of the phase in a triplet's 15 numbers."""
UNKNOWN = -1


def read_triplets(path: Path, phase_of: Callable[[str, str], int], rate: float) -> LabelTrack:
    """Reads a file of CholecT50.

    Args:
        path: the file.
        phase_of: the index of the phase that a number names; its second argument is the place.
        rate: frames per second of the annotation, where the file does not say it.

    Raises:
        InputError: the file is no JSON, has no annotations, or a frame names no phase or several.
    """
    try:
        record = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno} is no JSON ({error.msg}): copy it again from its source.") from None
    frames = record.get("annotations") if isinstance(record, dict) else None
    if not isinstance(frames, dict) or not frames:
        raise InputError(f"{path} has no 'annotations' of frames: name CholecT50's files, or give another format.")
    found = {}
    for number, triplets in frames.items():
        place = f"{path}, frame {number[:LONGEST_SHOWN]},"
        if not number.isdecimal():
            raise InputError(f"{place} has no number: copy the file again from its source.")
        found[int(number)] = _phase(triplets, place, phase_of)
    numbers = sorted(found)
    rate = float(fps) if isinstance(fps := record.get("fps"), int | float) and fps > 0 else rate
    return track_of_rows(np.array(numbers) / rate, np.array([found[each] for each in numbers], np.int8), rate)


def _phase(triplets: object, place: str, phase_of: Callable[[str, str], int]) -> int:
    """The phase that all triplets of a frame name; −1 where none does."""
    if not isinstance(triplets, list):
        raise InputError(f"{place} has no list of triplets: copy the file again from its source.")
    named = set()
    for triplet in triplets:
        if not isinstance(triplet, list) or len(triplet) <= PHASE or not isinstance(triplet[PHASE], int | float):
            raise InputError(f"{place} has a triplet without a phase at its end: copy the file again from its source.")
        named.add(triplet[PHASE])
    phases = {phase_of(f"{number:g}", place) for number in named if number != UNKNOWN}
    if len(phases) > 1:
        raise InputError(f"{place} has several phases: copy the file again from its source.")
    return phases.pop() if phases else UNLABELLED
