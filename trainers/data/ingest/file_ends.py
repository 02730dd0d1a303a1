"""End of a video file by its own structure: what says that a file was cut off, and what bytes lie after its end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BOX_HEADER_BYTES, RIFF_HEADER_BYTES = 8, 12
TO_THE_END, LONG_BOX = 0, 1
"""Lengths of a box with a meaning of their own: it takes the rest of the file; the length follows in eight bytes."""
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
"""Types of the first box of an mp4 (or of its ancestor, a mov), after four bytes of length."""
NEEDED_BOXES = (b"ftyp", b"moov", b"mdat", b"moof", b"styp")
"""Boxes that hold frames or what is needed to find them: a file that ends inside one of them is cut off."""
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
UNKNOWN_RIFF_LENGTHS = (0, 0xFFFFFFFF)
"""Of an AVI whose writer was not closed."""


@dataclass(frozen=True)
class FileEnd:
    """Where a file ends by its structure."""

    declared: int
    """Bytes that the file should have at least; 0 where its structure does not say."""
    num_trailing: int
    """Bytes after the end that are no part of the video."""


UNKNOWN = FileEnd(declared=0, num_trailing=0)


def file_end(path: Path) -> FileEnd:
    """The end of an mp4, mov, avi or mkv; `UNKNOWN` for any other file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        walk = _walk_of(file.read(RIFF_HEADER_BYTES))
        return walk(file, size) if walk else UNKNOWN


def _walk_of(head: bytes) -> Callable[[BinaryIO, int], FileEnd] | None:
    if head[4:8] in FIRST_BOXES:
        return _end_of_boxes
    if head[:4] == b"RIFF":
        return _end_of_riff
    return _end_of_segment if head[:4] == EBML else None


def _end_of_boxes(file: BinaryIO, size: int) -> FileEnd:
    """The end of an mp4 by its boxes: each of the outermost begins with its length and type."""
    start = 0
    while start + BOX_HEADER_BYTES <= size:
        file.seek(start)
        header = file.read(2 * BOX_HEADER_BYTES)
        length, kind = int.from_bytes(header[:4]), header[4:8]
        if length == TO_THE_END and kind in NEEDED_BOXES:
            return FileEnd(declared=size, num_trailing=0)
        if length == LONG_BOX:
            length = int.from_bytes(header[BOX_HEADER_BYTES:])
        if length < BOX_HEADER_BYTES or (start + length > size and kind not in NEEDED_BOXES):
            break
        start += length
    return FileEnd(declared=start, num_trailing=max(size - start, 0))


def _end_of_riff(file: BinaryIO, size: int) -> FileEnd:
    """The end of an AVI: a list of RIFF chunks, each with its length after four letters."""
    start = 0
    while start + RIFF_HEADER_BYTES <= size:
        file.seek(start)
        header = file.read(BOX_HEADER_BYTES)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF":
            break
        if length in UNKNOWN_RIFF_LENGTHS:
            return UNKNOWN
        start += BOX_HEADER_BYTES + length
        start += length % 2 if start < size else 0
    return FileEnd(declared=start, num_trailing=max(size - start, 0))


def _end_of_segment(file: BinaryIO, size: int) -> FileEnd:
    """The end of a Matroska file: a header, and a segment that holds everything else."""
    file.seek(len(EBML))
    header_length = _ebml_length(file)
    if header_length is None:
        return UNKNOWN
    file.seek(header_length, 1)
    if file.read(len(SEGMENT)) != SEGMENT:
        return UNKNOWN
    length = _ebml_length(file)
    if length is None:
        return UNKNOWN
    end = file.tell() + length
    return FileEnd(declared=end, num_trailing=max(size - end, 0))


def _ebml_length(file: BinaryIO) -> int | None:
    """A length of 1 to 8 bytes, as many as the zeros before its first one say; None where it is left open."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    num_more = 8 - first[0].bit_length()
    bits = 7 * (num_more + 1)
    value = int.from_bytes(first + file.read(num_more)) & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
