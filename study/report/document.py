"""A report as a document of blocks, in the order in which they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from matplotlib.figure import Figure

from study.report.figures import style


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: its text; `backticks` mark code, here and in all other texts of a document.
        notes: small lines below it.
        strong: whether the text is bold.
        link: relative address that the text leads to.
    """

    text: str
    notes: tuple[str, ...] = ()
    strong: bool = False
    link: str = ""

    def __str__(self) -> str:
        return " ".join((self.text, *self.notes))


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; its first column, and those in `text_columns`, hold words, all others numbers.

    Attributes:
        headers: one cell per column.
        rows: the body.
        groups: titles over neighbouring columns, and the number of columns that each spans.
        rule_before: index of the row that a rule separates from those above; None without a rule.
        text_columns: indices of columns of words.
    """

    kind: ClassVar[str] = "table"
    headers: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    rule_before: int | None = None
    text_columns: frozenset[int] = frozenset({0})

    def lines(self) -> list[list[str]]:
        """The body as plain text."""
        return [[str(cell) for cell in row] for row in self.rows]

    def group_starts(self) -> set[int]:
        """Indices of the columns at which a group begins, the first group aside."""
        starts, column = set(), 0
        for _, span in self.groups:
            starts.add(column)
            column += span
        return starts - {0}


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of prose."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Notice:
    """A paragraph that every reader has to see; several lines are a list."""

    kind: ClassVar[str] = "notice"
    text: str


@dataclass(frozen=True)
class Facts:
    """Terms and their descriptions; several lines of a description are a list."""

    kind: ClassVar[str] = "facts"
    items: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, the name of its file, and a caption."""

    kind: ClassVar[str] = "picture"
    name: str
    figure: Figure
    caption: str

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG element, rendered once."""
        return style.to_svg(self.figure, self.name)


@dataclass(frozen=True)
class Images:
    """A row of photographs, which only the HTML page holds.

    Attributes:
        title: of the row.
        jpegs: their bytes.
        shape: width over height that each is shown with.
    """

    kind: ClassVar[str] = "images"
    title: str
    jpegs: tuple[bytes, ...]
    shape: float


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away until the reader opens them."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: "Sequence[Block]"
    html_only: bool = False


@dataclass(frozen=True)
class Section:
    """Blocks below a heading."""

    kind: ClassVar[str] = "section"
    title: str
    blocks: "Sequence[Block]"


Block = Paragraph | Notice | Facts | Picture | Images | Details | Section | Table


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report.

    Attributes:
        title: its title.
        question: the question that it answers, below the title.
        label: small line above the title: kind and name of what is reported.
        blocks: everything below.
    """

    title: str
    question: str
    label: str
    blocks: Sequence[Block]


def pictures(blocks: Sequence[Block]) -> list[Picture]:
    """All figures that Markdown shows, at any depth."""
    found: list[Picture] = []
    for block in blocks:
        if isinstance(block, Picture):
            found.append(block)
        elif isinstance(block, Section) or (isinstance(block, Details) and not block.html_only):
            found += pictures(block.blocks)
    return found
