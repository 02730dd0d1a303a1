"""Cross-validation of studies: rows for every fold, and the pools of rows that differ in the fold alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from study.core.rows import Choice, Row
from trainers.names import Fold, check_name, fold_named
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.core.study import Study

SPLIT = "split"
"""The hyperparameter whose value names a fold."""
MOST_FOLDS, MOST_REPEATS = 1000, 1000


def folds(count: int, *, repeats: int = 1) -> Choice:
    """Every fold of a cross-validation, as an axis of a study.

    Example:
        >>> from study import folds
        >>> folds(2, repeats=2).values
        ('fold1of2', 'fold2of2', 'fold1of2r2', 'fold2of2r2')

    Args:
        count: k, the number of folds.
        repeats: number of drawings of the folds.

    Raises:
        InputError: there are not such folds.
    """
    if not (2 <= count <= MOST_FOLDS and 1 <= repeats <= MOST_REPEATS):
        raise InputError(
            f"{count} folds of {repeats} drawings cannot be: take 2 to {MOST_FOLDS} folds, and 1 to {MOST_REPEATS} "
            "drawings."
        )
    every = (
        Fold(count=count, repeat=repeat, number=number)
        for repeat in range(1, repeats + 1)
        for number in range(1, count + 1)
    )
    return Choice(tuple(map(str, every)))


def cross_validated(study: "Study", name: str, *, count: int, repeats: int = 1) -> "Study":
    """A study with every row at every fold; its report shows the folds of a row as one row.

    Published numbers are left out: they are of other test videos.

    Example:
        >>> from search_spaces.studies.table3 import table3
        >>> from study import cross_validated
        >>> cv = cross_validated(table3, "cv", count=5)
        >>> len(cv.all_rows()), cv.all_rows()[0].name
        (40, 'none,fold1of5')

    Args:
        study: the study, none of whose rows sets `split`.
        name: of the new study.
        count: as in `folds`.
        repeats: as in `folds`.

    Raises:
        InputError: as in `folds`, or a row sets `split` itself.
    """
    check_name(name, "a study")
    every = folds(count, repeats=repeats).values

    def rows_under(conditions: object) -> tuple[Row, ...]:
        return _at_folds(study.under(conditions), every)

    return replace(
        study,
        name=name,
        axes={},
        rows=_at_folds(study, every),
        rows_from=rows_under if study.rows_from else None,
        published=None,
        more_published=(),
    )


def _at_folds(study: "Study", every: Sequence[object]) -> tuple[Row, ...]:
    """All rows of a study at every fold."""
    rows = study.all_rows()
    own = next((row.name for row in rows if SPLIT in row.parameters), None)
    if own is not None:
        raise InputError(f"row {own!r} of study {study.name} sets {SPLIT} itself: it cannot be cross-validated.")
    return tuple(
        replace(
            row,
            name=f"{row.name},{fold}",
            title=f"{row.title}, {fold}",
            parameters={**row.parameters, SPLIT: fold},
        )
        for row in rows
        for fold in every
    )


def fold_of(row: Row) -> Fold | None:
    """The fold that a row sets; None where it sets none."""
    return fold_named(row.parameters.get(SPLIT))


def pooled_rows(rows: Sequence[Row]) -> dict[str, Row]:
    """The row that shows each row in a report, by name: itself or, of rows that differ in the fold alone, their pool.

    A pool keeps what names and titles of its rows have in common, and no `split`.
    """
    pools: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        fold = fold_of(row)
        if fold is not None:
            others = sorted((name, repr(value)) for name, value in row.parameters.items() if name != SPLIT)
            pools.setdefault((row.recipe, row.baseline, row.series, fold.count, *others), []).append(row)
    shown = {row.name: row for row in rows}
    for members in pools.values():
        if len(members) > 1:
            shown |= dict.fromkeys((row.name for row in members), _pool(members, shown))
    return shown


def pooled_study(study: "Study") -> "Study":
    """A study whose fold rows are pooled; the study itself where it has none."""
    shown = pooled_rows(study.all_rows())
    rows = tuple({row.name: row for row in shown.values()}.values())
    if all(name == row.name for name, row in shown.items()):
        return study
    reference = study.reference if study.reference is None else shown_name(study.reference, shown)
    return replace(study, axes={}, rows=rows, reference=reference)


def shown_name(name: str, shown: Mapping[str, Row]) -> str:
    """The name of the row that shows a row; a name of a pool is that of itself."""
    return shown[name].name if name in shown else name


def _pool(members: Sequence[Row], shown: Mapping[str, Row]) -> Row:
    first = members[0]
    fold = fold_of(first)
    assert fold is not None, "it is one of several folds"
    name, title = (
        _in_common(texts, separator) or f"{fold.count} folds"
        for texts, separator in (([row.name for row in members], ","), ([row.title for row in members], ", "))
    )
    return replace(
        first,
        name=first.name if any(row.name == name for row in shown.values()) else name,
        title=first.title if any(row.title == title for row in shown.values()) else title,
        parameters={key: value for key, value in first.parameters.items() if key != SPLIT},
    )


def _in_common(texts: Sequence[str], separator: str) -> str:
    """The parts of a text that all of the texts have."""
    parts = [text.split(separator) for text in texts]
    return separator.join(part for part in parts[0] if all(part in other for other in parts[1:]))
