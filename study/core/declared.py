"""Checks of what the author of a study has written: names, titles, rows, published numbers and the curve."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from study.core.rows import RELAXED_PROTOCOLS, Choice, Curve, Published, Row, Teacher
from study.home.request import LARGEST_SEEDS
from study.home.text import nearest
from trainers.names import check_line, check_name
from trainers.stage import InputError

if TYPE_CHECKING:
    from study.core.study import Study

MOST_ROWS = 10_000


def check_study(study: "Study") -> None:
    """Checks everything but the rows that its axes span.

    Raises:
        InputError: a name is none, a part has another type than `Study` says, or a published number is no number.
    """
    check_name(study.name, "a study")
    check_line(study.title, f"study {study.name} (its title)")
    check_type(study.question, str, f"the question of study {study.name}", "text")
    _check_rows(study)
    _check_axes(study)
    _check_parts(study)
    if study.published is not None:
        _check_published(study.published, f"study {study.name}: published")
    for number, numbers in enumerate(study.more_published):
        _check_published(numbers, f"study {study.name}: more_published[{number}]")


def check_labels(study: "Study", rows: Sequence[Row]) -> None:
    """Checks the names and titles of all rows, those of the grid included.

    Raises:
        InputError: one is no line of text, or two are equal.
    """
    for row in rows:
        check_line(row.name, f"a row of study {study.name}")
        check_line(row.title, f"row {row.name!r} of study {study.name} (its title)")
        if "/" in row.name:
            raise InputError(
                f"{row.name!r} cannot name a row of study {study.name}: a suite names its rows STUDY/ROW; take another "
                "character than '/', or, where it is a value of an axis, give its point a row with a name of its own."
            )
    for what, labels in (("name", [row.name for row in rows]), ("title", [row.title for row in rows])):
        twice = (
            next((label for label in labels if labels.count(label) > 1), None) if len({*labels}) < len(rows) else None
        )
        if twice is not None:
            raise InputError(f"study {study.name} has two rows {what}d {twice!r}: give each its own {what}.")


def check_curve(study: "Study", curve: Curve, rows: Sequence[Row]) -> None:
    """Checks that the rows are points of a curve.

    Raises:
        InputError: no row sets its axis, a value has no place on a logarithmic one, or the reference line is missing.
    """
    axis, line, name = curve.axis, curve.reference, study.name
    check_line(curve.title, f"the curve of study {name} (its title)")
    if axis != "seed" and not any(axis in row.parameters for row in rows):
        raise InputError(f"the curve of study {name} is over {axis!r}, which no row sets: name an axis of it.")
    if curve.log:
        _check_logarithm(
            name, axis, [0] if axis == "seed" else [row.parameters[axis] for row in rows if axis in row.parameters]
        )
    if line and study.reference:
        raise InputError(f"study {name} has a reference row and a reference line: keep one of them.")
    series = dict.fromkeys(row.series for row in rows if row.series)
    if line and line not in series:
        raise InputError(f"the curve of study {name} has no line {line!r}{nearest(line, series)}")


def check_parameters(parameters: object, what: str) -> None:
    """Refuses what is no dictionary whose keys are text.

    Raises:
        InputError: it is none; the sentence begins with `what`.
    """
    check_type(parameters, Mapping, what, "a dictionary from names to values")
    assert isinstance(parameters, Mapping), "it was checked"
    for name in parameters:
        check_type(name, str, f"a name among {what}", "text")


def check_type(value: object, kind: type, what: str, wanted: str) -> None:
    """Refuses a value of another type.

    Raises:
        InputError: it has another type; the sentence begins with `what`, and says what is `wanted`.
    """
    if not isinstance(value, kind):
        raise InputError(f"{what} is {value!r}: it must be {wanted}.")


def _check_logarithm(name: str, axis: str, values: Sequence[object]) -> None:
    for value in values:
        if isinstance(value, int | float) and not value > 0:
            raise InputError(
                f"the curve of study {name} is logarithmic over {axis!r}, which is {value}: a logarithm needs values "
                "above 0; leave log=True out, or give that value no row."
            )


def _check_parts(study: "Study") -> None:
    """Checks the types of what is neither a row nor a number."""
    for name, part, kind, wanted in (
        ("fewest_seeds", study.fewest_seeds, int, "a whole number"),
        ("curve", study.curve, Curve, "Curve(…)"),
        ("reference", study.reference, str, "the name of a row"),
        ("cost", study.cost, Mapping, "a dictionary"),
        ("more_published", study.more_published, tuple, "a tuple"),
    ):
        if part is not None:
            check_type(part, kind, f"{name} of study {study.name}", wanted)
    if study.second_protocol is not None and study.second_protocol not in RELAXED_PROTOCOLS:
        valid = " or ".join(RELAXED_PROTOCOLS)
        raise InputError(f"second_protocol of study {study.name} is {study.second_protocol!r}: take {valid}.")
    if not 1 <= study.fewest_seeds <= LARGEST_SEEDS:
        raise InputError(f"fewest_seeds of study {study.name} is {study.fewest_seeds}: take 1 to {LARGEST_SEEDS}.")
    for scale, words in study.cost.items():
        check_type(words, str, f"the cost of study {study.name} at scale {scale}", "text")


def _check_rows(study: "Study") -> None:
    if not isinstance(study.rows, tuple | list):
        raise InputError(f"the rows of study {study.name} are no tuple: write rows=(Row(…),), with the comma.")
    for row in study.rows:
        check_type(row, Row, f"a row of study {study.name}", "Row(…)")
        for what, value in (("name", row.name), ("title", row.title)):
            check_line(value, f"a row of study {study.name}" + (" (its title)" if what == "title" else ""))
        check_type(row.series, str, f"the series of row {row.name!r}", "text")
        _check_teacher(row)
        check_type(row.baseline, bool, f"baseline of row {row.name!r}", "True or False")
        check_parameters(row.parameters, f"the parameters of row {row.name!r}")


def _check_teacher(row: Row) -> None:
    if row.teacher is None:
        return
    check_type(row.teacher, Teacher, f"the teacher of row {row.name!r}", "Teacher(…)")
    check_line(row.teacher.title, f"the teacher of row {row.name!r}")
    if not (_is_number(row.teacher.gflops) and row.teacher.gflops > 0):
        raise InputError(f"gflops of the teacher of row {row.name!r} is {row.teacher.gflops!r}: give a number above 0.")


def _check_axes(study: "Study") -> None:
    check_parameters(study.axes, f"the axes of study {study.name}")
    for name, axis in study.axes.items():
        if not isinstance(axis, Choice):
            raise InputError(f"axis {name} of study {study.name} is {axis!r}: write it as Choice((…)).")
    num_rows = math.prod(len(axis.values) for axis in study.axes.values())
    if num_rows > MOST_ROWS:
        raise InputError(
            f"the axes of study {study.name} span {num_rows} rows, more than {MOST_ROWS}: leave values out."
        )


def _check_published(published: Published, place: str) -> None:
    check_type(published, Published, place, "Published(…)")
    check_type(published.source, str, f"the source of {place}", "text")
    if published.swapped is not None and (not isinstance(published.swapped, tuple) or len(published.swapped) != 2):
        raise InputError(f"{place}: swapped is {published.swapped!r}: give two metrics, or leave it out.")
    if published.measured_on is not None and len(published.measured_on) != 2:
        raise InputError(f"{place}: measured_on is {published.measured_on!r}: write MeasuredOn(pretraining=…, test=…).")
    check_type(published.rows, Mapping, f"{place}: rows", "a dictionary from rows to numbers")
    for row, numbers in published.rows.items():
        check_type(numbers, Mapping, f"{place}: row {row!r}", "a dictionary from metrics to numbers")
        for metric, pair in numbers.items():
            if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(map(_is_number, pair)) and pair[1] >= 0):
                raise InputError(
                    f"{place}: {metric} of row {row!r} is {pair!r}: give (mean, standard deviation), two finite "
                    "numbers in percent."
                )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
