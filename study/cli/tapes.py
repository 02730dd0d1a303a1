"""Options that decide which recordings of frozen networks a command takes."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from study.core.tapes import NO_TAPES, TapeChoice, Tapes
from trainers.stage import InputError

UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
FORM = re.compile(r"(\d+(?:\.\d+)?) ?(MB|GB|TB)")
MOST_BYTES, MOST_OF_FREE = 150e9, 0.5
"""Limits of all tapes where none is given: bytes, and the part of what is free on the disk."""


def parse_size(option: str, text: str) -> float:
    """Bytes, as they are given on the command line.

    Raises:
        InputError: it has another form.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise InputError(f"{option} {text} is no size: give one such as 100GB.")
    return float(found[1]) * UNITS[found[2]]


def search_choice(choice: TapeChoice) -> TapeChoice:
    """The choice of a search, which knows its trials one by one: it records what is asked for by kind, at once."""
    return NO_TAPES if choice.kinds == "auto" else replace(choice, for_one=True)


def tape_choice(kinds: Tapes, limit: str | None, home: Path, budget_bytes: float | None = None) -> TapeChoice:
    """The tapes that a command takes.

    Args:
        kinds: those that are wanted.
        limit: their size on disk, as it is given; 150 GB where it is not, or half of what is free.
        home: the home folder, on whose disk they are.
        budget_bytes: disk that the command may use; tapes take half of it.

    Raises:
        InputError: the limit has another form.
    """
    if limit is not None:
        return TapeChoice(kinds=kinds, limit_bytes=parse_size("--tape-disk", limit))
    place = next(folder for folder in (home.absolute(), *home.absolute().parents) if folder.exists())
    limits = [MOST_BYTES, MOST_OF_FREE * shutil.disk_usage(place).free]
    if budget_bytes is not None:
        limits.append(MOST_OF_FREE * budget_bytes)
    return TapeChoice(kinds=kinds, limit_bytes=min(limits))
