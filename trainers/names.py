"""Names: of things that become folders, files and tags, of rows, which are any line of text, and of folds."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from trainers.stage import InputError

LONGEST = 100
"""Characters: file systems take 255 bytes, of which some characters need four, and names get endings."""
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, of bytes that are no UTF-8, and of separators of lines and paragraphs."""
FOLD_PATTERN = r"fold([1-9]\d{0,3})of([1-9]\d{0,3})(?:r([1-9]\d{0,5}))?"


@dataclass(frozen=True, order=True)
class Fold:
    """One fold of a k-fold cross-validation, named as in `fold3of5` or, of a further drawing, `fold3of5r2`.

    Attributes:
        count: k, the number of folds.
        repeat: number of the drawing of the folds, from 1.
        number: of the fold, from 1; its videos are tested.
    """

    count: int
    repeat: int
    number: int

    def __str__(self) -> str:
        return f"fold{self.number}of{self.count}" + (f"r{self.repeat}" if self.repeat > 1 else "")


def fold_named(name: object) -> Fold | None:
    """The fold of a name; None where it is no fold's."""
    found = re.fullmatch(FOLD_PATTERN, name) if isinstance(name, str) else None
    if found is None:
        return None
    number, count, repeat = found.groups(default="1")
    return Fold(count=int(count), repeat=int(repeat), number=int(number))


def check_name(name: object, what: str) -> None:
    """Refuses a name that cannot be that of a file on every machine.

    Args:
        name: the name.
        what: the thing to name, such as `a dataset`.

    Raises:
        InputError: it is no text, too long, or holds something else than letters, digits, '-', '_' and '.'.
    """
    fault = fault_of_line(name) or _fault_of_form(str(name))
    if fault:
        raise InputError(f"{shown(name)} cannot name {what}: it {fault}.")
    if not re.fullmatch(r"\w[\w.-]*", str(name)):
        raise InputError(f"{shown(name)} cannot name {what}: use letters, digits, '-', '_' and '.'.")


def check_line(text: object, what: str) -> None:
    """Refuses a title, or the name of a row, that is not one line of text.

    Args:
        text: the title or name.
        what: the thing that has it, such as `a row of study table3`.

    Raises:
        InputError: it is no text, empty, or of several lines.
    """
    fault = fault_of_line(text, longest=10 * LONGEST) or _fault_of_form(str(text))
    if fault:
        raise InputError(f"{shown(text)} cannot name {what}: it {fault}.")


def check_case(name: str, known: Iterable[str], what: str) -> None:
    """Refuses a name that is a known one but for its case: some file systems take both for one.

    Raises:
        InputError: it is.
    """
    for other in known:
        if other != name and other.casefold() == name.casefold():
            raise InputError(f"{name!r} cannot name {what}: {other!r} is there, which is the same but for its case.")


def fault_of_line(text: object, longest: int = LONGEST) -> str:
    """The reason why something is no line of text, to go on from its name; empty where it is one."""
    if not isinstance(text, str):
        return "is no text"
    if not text.strip():
        return "is empty"
    if len(text) > longest:
        return f"has {len(text)} characters, more than {longest}"
    strange = next((character for character in text if unicodedata.category(character) in UNPRINTABLE), None)
    if strange is not None:
        return "is not UTF-8" if "\ud800" <= strange <= "\udfff" else f"holds {strange!r}, no part of a line of text"
    return ""


def _fault_of_form(text: str) -> str:
    """The reason why a line of text has an equal one that looks the same; empty where it has none."""
    if text != text.strip():
        return "begins or ends with a space"
    if not unicodedata.is_normalized("NFC", text):
        return "has accents apart from their letters: write it in Unicode's normal form C"
    return ""


def alike(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Known names that a misspelt one may stand for, the nearest first; capitals count as small letters."""
    by_small = {each.casefold(): each for each in known}
    return [by_small[each] for each in difflib.get_close_matches(name.casefold(), by_small, n=most)]


def shown(name: object) -> str:
    """A name as sentences show it, cut where it is long."""
    text = repr(name)
    return text if len(text) <= LONGEST + 2 else f"{text[:40]}…{text[-10:]}"
