"""Tables `annotations` and `phase_names` of a description: where annotation files lie, and how they are read."""

from collections.abc import Sequence
from dataclasses import replace

from trainers.data.datasets.patterns import Pattern
from trainers.data.datasets.toml_table import TomlTable
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.annotations.format import KINDS, UNITS, Kind, Unit
from trainers.data.ingest.annotations.table import suggestion
from trainers.stage import InputError

HIGHEST_RATE = 1e4
HIGHEST_NUMBER = 10**6
KEYS = (
    *("files", "format", "rate", "unit", "frame_rate", "first", "phase", "time", "start", "end", "separator"),
    *("first_phase", "unlabelled", "end_included", "holes"),
)
RATES: dict[Kind, float] = {"second-rows": 1.0, "cholect50": 1.0}
"""Rows per second where a description gives none."""


def read_annotations(table: TomlTable) -> tuple[tuple[Pattern, ...], AnnotationFormat]:
    """The patterns of annotation files, and their format.

    Raises:
        InputError: the table is malformed.
    """
    table.refuse_unknown(KEYS)
    files = tuple(Pattern(text) for text in table.strings("files"))
    if not files:
        raise table.fault("files", "is missing: give the pattern of the files, such as `labels/{name}.csv`")
    for pattern in files:
        try:
            pattern.check(frames=False)
        except InputError as error:
            raise table.fault("files", str(error)) from None
    return files, _format(table)


def with_phase_names(layout: AnnotationFormat | None, words: TomlTable, phases: Sequence[str]) -> AnnotationFormat:
    """A format whose files name phases by other words.

    Args:
        layout: the format; None where there are no annotations.
        words: the table: the name of a phase by every word that stands for it.
        phases: names of the phases.

    Raises:
        InputError: the table is malformed.
    """
    if layout is None:
        raise words.fault("", "names words of annotations, which the description lacks: add a table [annotations]")
    first = layout.first_phase
    meanings = dict.fromkeys(layout.unlabelled, "what a row without a phase says")
    meanings |= {name if first is None else str(first + index): "a phase" for index, name in enumerate(phases)}
    for word in words.values:
        phase = words.string(word)
        if phase not in phases:
            raise words.fault(word, f"is {phase!r}, which is no phase: {suggestion(phase, phases)}")
        if word in meanings:
            raise words.fault(word, f"says what {word!r} is, which is {meanings[word]} already: leave it out")
    return replace(layout, phase_names=tuple(sorted((word, words.string(word)) for word in words.values)))


def _format(table: TomlTable) -> AnnotationFormat:
    if "format" not in table.values:
        raise table.fault("format", f"is missing: it is one of {', '.join(KINDS)}")
    kind = _kind(table)
    unit: Unit = next(each for each in UNITS if each == table.choice("unit", UNITS, "frames"))
    return AnnotationFormat(
        kind=kind,
        rate=_rate(table, kind, unit),
        unit=unit,
        frame_rate=table.number("frame_rate", lowest=0.001, highest=HIGHEST_RATE),
        first=table.whole_number("first", lowest=0, highest=HIGHEST_NUMBER),
        phase=_column(table, "phase"),
        time=_column(table, "time"),
        start=_column(table, "start"),
        end=_column(table, "end"),
        separator=table.string("separator"),
        first_phase=table.whole_number("first_phase", lowest=0, highest=HIGHEST_NUMBER),
        unlabelled=table.strings("unlabelled") or ("unlabelled",),
        end_included=table.flag("end_included", default=False),
        holes=table.flag("holes", default=True),
    )


def _kind(table: TomlTable) -> Kind:
    found = table.choice("format", KINDS, "")
    return next(each for each in KINDS if each == found)


def _rate(table: TomlTable, kind: Kind, unit: Unit) -> float | None:
    """Rows per second, or frames per second of the unit; None for the video's own rate."""
    if table.values.get("rate") == "video":
        table.string("rate")
        return None
    rate = table.number("rate", lowest=0.001, highest=HIGHEST_RATE)
    if rate is not None or kind in RATES:
        return rate or RATES[kind]
    if kind == "intervals" and unit != "frames":
        return 1.0
    what = "frames per second" if kind == "intervals" else "rows per second"
    raise table.fault("rate", f'is missing: give the {what}, or "video" for one per frame of the video')


def _column(table: TomlTable, key: str) -> str:
    """The name of a column, or its number."""
    if isinstance(table.values.get(key), int):
        return str(table.whole_number(key, lowest=1, highest=1000))
    return table.string(key)
