"""Table of malformed inputs of `ingest`: what is done to a file of the hospital, and the sentence that it gets."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

Change = tuple[str, str] | bytes | Callable[[Path], object]
"""A text and what replaces it where it is found first; the whole content; or anything that is done to the file."""


class Case(NamedTuple):
    """A malformed input."""

    description: str
    """Name of the description that is ingested."""
    file: str
    """That is changed, below the folder of the hospital."""
    change: Change
    said: str
    """Beginning of the sentence, with file, line and field where there are any; what to do follows."""


def apply(change: Change, path: Path) -> None:
    """Does the harm."""
    if isinstance(change, tuple):
        text = path.read_text()
        assert change[0] in text
        path.write_text(text.replace(*change, 1))
    elif isinstance(change, bytes):
        path.write_bytes(change)
    else:
        change(path)


def cut(length: int) -> Change:
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def gone(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def renamed(name: str) -> Change:
    return lambda path: path.rename(path.with_name(name))


def beside(name: str) -> Change:
    return lambda path: shutil.copy(path, path.with_name(name))


def copied(other: str) -> Change:
    return lambda path: path.write_bytes((path.parent / other).read_bytes())


def of_another_size(path: Path) -> None:
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))


def without_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def emptied_folder(path: Path) -> None:
    for entry in path.parent.iterdir():
        entry.unlink()


def split_file(text: str) -> Change:
    """The split of a description, as a file beside it instead."""

    def write(path: Path) -> None:
        (path.parent / "split.csv").write_text(text)
        path.write_text(path.read_text().partition("[split]")[0] + '[split]\nfile = "split.csv"\n')

    return write


def lines(edit: Callable[[list[str]], list[str]]) -> Change:
    return lambda path: path.write_text("\n".join(edit(path.read_text().splitlines())) + "\n")


def swapped(first: int, second: int) -> Change:
    def edit(rows: list[str]) -> list[str]:
        rows[first], rows[second] = rows[second], rows[first]
        return rows

    return lines(edit)


def twice(number: int) -> Change:
    return lines(lambda rows: rows[: number + 1] + rows[number:])
