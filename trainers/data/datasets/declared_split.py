"""Split that a data set's description declares: which video trains, validates or tests, or its fold."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from trainers.data.datasets.recordings import Subset
from trainers.data.datasets.splits import divided
from trainers.data.datasets.toml_table import TomlTable, read_text
from trainers.data.ingest.annotations.table import suggestion
from trainers.stage import InputError

SIDES: tuple[Subset, ...] = ("train", "validation", "test")
MOST_FOLDS = 1000


@dataclass(frozen=True, kw_only=True)
class Place:
    """The side of one video, and its fold (1-based) where folds are declared."""

    subset: Subset | None = None
    fold: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeclaredSplit:
    """Split of a data set, as names of videos or patterns of names.

    Attributes:
        table: where it is declared.
        sides: the names on each side, or in each fold, which are numbered from 1.
        file: the file with the names instead; None where there is none.
        num_folds: into how many folds all videos are drawn instead; 0 where they are not.
        may_be_incomplete: whether names may be missing among the videos.
    """

    table: TomlTable
    sides: Mapping[str, tuple[str, ...]]
    file: Path | None = None
    num_folds: int = 0
    may_be_incomplete: bool = False

    def places(self, names: Sequence[str], others: Sequence[str] = ()) -> dict[str, Place]:
        """The place of every annotated video; none where an incomplete data set leaves a side empty.

        Args:
            names: of the annotated videos, in order.
            others: names of videos that have no annotation.

        Raises:
            InputError: a name is that of no video, a video is on two sides, or on none.
        """
        if self.num_folds:
            tested = divided(names, f"fold1of{self.num_folds}").test
            return {name: Place(subset="test" if name in tested else "train") for name in names}
        wanted = self.sides if self.file is None else _sides_of_file(self.file)
        sides = self._sides(wanted, names, others)
        if self.may_be_incomplete and set(sides.values()) != set(wanted):
            return {}
        left_out = [name for name in names if name not in sides]
        if left_out:
            shown = ", ".join(map(repr, left_out[:5])) + (" …" if len(left_out) > 5 else "")
            raise self._fault(next(iter(wanted)), f"does not say where {shown} belongs: put every video on one side")
        return {name: _place(sides[name]) for name in names}

    def _sides(
        self, wanted: Mapping[str, tuple[str, ...]], names: Sequence[str], others: Sequence[str]
    ) -> dict[str, str]:
        sides: dict[str, str] = {}
        for side, patterns in wanted.items():
            for name in (name for pattern in patterns for name in self._matching(side, pattern, names, others)):
                if sides.setdefault(name, side) != side:
                    raise self._fault(side, f"puts {name!r} on {_shown(side)} and on {_shown(sides[name])}: choose one")
        return sides

    def _matching(self, side: str, pattern: str, names: Sequence[str], others: Sequence[str]) -> list[str]:
        found = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        if found or self.may_be_incomplete:
            return found
        if pattern in others:
            raise self._fault(side, f"names {pattern!r}, which has no annotation: add it, or leave the name out")
        raise self._fault(side, f"names {pattern!r}, which is no video of the data set: {suggestion(pattern, names)}")

    def _fault(self, side: str, rest: str) -> InputError:
        if self.file is not None:
            return InputError(f"{self.file} {rest}{'' if rest.endswith(('?', '.')) else '.'}")
        return self.table.fault("folds" if side.isdecimal() else side, rest)


def read_split(table: TomlTable, folder: Path) -> DeclaredSplit:
    """The split that a table of a description declares.

    Args:
        table: the table `split`.
        folder: of the description, which the path of a split's file begins at.

    Raises:
        InputError: the table is malformed.
    """
    table.refuse_unknown((*SIDES, "file", "folds", "may_be_incomplete"))
    file, incomplete = table.string("file"), table.flag("may_be_incomplete", default=False)
    sides = {side: names for side in SIDES if (names := table.strings(side))}
    drawn = isinstance(table.values.get("folds"), int)
    num_folds = table.whole_number("folds", lowest=2, highest=MOST_FOLDS) if drawn else None
    folds = {str(number): names for number, names in enumerate(() if drawn else table.lists("folds"), start=1)}
    if sum(map(bool, (sides, file, folds, num_folds))) != 1:
        key = next((each for each in ("folds", "file", *SIDES) if each in table.values), "train")
        raise table.fault(key, "is one of several splits, or none: give train and test, or folds, or file")
    for side in ("train", "test") if sides else ():
        if side not in sides:
            raise table.fault(next(iter(sides)), f"is beside no {side}: name the videos of train and of test")
    if len(folds) == 1:
        raise table.fault("folds", "holds one list: give two folds or more")
    return DeclaredSplit(
        table=table,
        sides=sides | folds,
        file=folder / file if file else None,
        num_folds=num_folds or 0,
        may_be_incomplete=incomplete,
    )


def _sides_of_file(path: Path) -> dict[str, tuple[str, ...]]:
    """The names on each side by a file with rows `name,side`, where a side may be the number of a fold.

    Raises:
        InputError: a row is no pair, or names no side.
    """
    lines = read_text(path).splitlines()
    separator = next((each for each in "\t;," if lines and each in lines[0]), ",")
    sides: dict[str, list[str]] = {}
    for number, row in enumerate(csv.reader(lines, delimiter=separator), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[-1].casefold() in ("side", "split", "subset", "fold")):
            continue
        side = "validation" if cells[-1].casefold() == "val" else cells[-1].casefold()
        if len(cells) != 2 or not cells[0] or not (side in SIDES or side.isdecimal()):
            raise InputError(f"{path}:{number} reads {','.join(cells)[:100]!r}: give a row `name,train` (or test, …).")
        sides.setdefault(side, []).append(cells[0])
    numbered = [side for side in sides if side.isdecimal()]
    if (
        not sides
        or (numbered and len(numbered) != len(sides))
        or (not numbered and not {"train", "test"} <= set(sides))
    ):
        raise InputError(f"{path} has the sides {', '.join(sides) or 'of nothing'}: give train and test, or two folds.")
    if numbered and {int(side) for side in numbered} != set(range(1, len(numbered) + 1)):
        shown = ", ".join(sorted(numbered, key=int))
        raise InputError(f"{path} has the folds {shown}: number them from 1 on, without a gap.")
    return {side: tuple(names) for side, names in sides.items()}


def _place(side: str) -> Place:
    if side.isdecimal():
        return Place(subset="test" if int(side) == 1 else "train", fold=int(side))
    return Place(subset=next(each for each in SIDES if each == side))


def _shown(side: str) -> str:
    return f"fold {side}" if side.isdecimal() else side
