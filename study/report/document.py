"""A report as blocks, and the two languages it is written in: HTML and Markdown."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from study.report.figures import style
from study.report.tables import Cell, Table

WIDE = 12
"""Tables of more columns are set closer."""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of prose; `backticks` mark code."""

    text: str


@dataclass(frozen=True)
class Notice:
    """What nobody may overlook."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Terms and what they are."""

    items: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, the name of its files, and what it shows."""

    name: str
    figure: Figure
    caption: str

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG element."""
        return style.svg(self.figure, self.name)


@dataclass(frozen=True)
class Details:
    """What is shown when asked for."""

    summary: str
    blocks: "Sequence[Block]"
    html_only: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: "Sequence[Block]"


Block = Paragraph | Notice | Facts | Picture | Details | Section | Table


def to_html(blocks: Sequence[Block]) -> str:
    """The blocks as the inside of an HTML page's body."""
    return "\n".join(_html(block) for block in blocks)


def to_markdown(title: str, question: str, blocks: Sequence[Block]) -> str:
    """A whole file in GitHub's Markdown; figures are links into `figures/`."""
    texts = (f"# {_plain(title)}", _plain(question), *map(_markdown, blocks))
    return "\n\n".join(filter(None, texts)) + "\n"


def pictures(blocks: Sequence[Block]) -> list[Picture]:
    """All figures that Markdown shows, at any depth."""
    found: list[Picture] = []
    for block in blocks:
        if isinstance(block, Picture):
            found.append(block)
        elif isinstance(block, Section) or (isinstance(block, Details) and not block.html_only):
            found += pictures(block.blocks)
    return found


def _html(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Notice(text):
            return f'<p class="notice" role="note">{_inline(text)}</p>'
        case Facts(items):
            terms = "".join(
                f"<div><dt>{_inline(term)}</dt><dd>{_inline(text)}</dd></div>" for term, text in items.items()
            )
            return f"<dl>{terms}</dl>"
        case Picture(_, _, caption):
            label = html.escape(caption, quote=True)
            drawing = block.svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
            return f"<figure>{drawing}<figcaption>{_inline(caption)}</figcaption></figure>"
        case Details(summary, blocks):
            return f"<details><summary>{_inline(summary)}</summary>\n{to_html(blocks)}\n</details>"
        case Section(title, blocks):
            return f"<section>\n<h2>{_inline(title)}</h2>\n{to_html(blocks)}\n</section>"
        case Table():
            return _html_table(block)


def _html_table(table: Table) -> str:
    groups = "".join(f'<th colspan="{span}" scope="colgroup">{_inline(title)}</th>' for title, span in table.groups)
    starts = _group_starts(table)
    classes = [_classes(column, table, starts) for column in range(len(table.headers))]
    header = "".join(
        f'<th scope="col"{c}>{_html_cell(cell)}</th>' for cell, c in zip(table.headers, classes, strict=True)
    )
    body = []
    for index, row in enumerate(table.rows):
        first = f'<th scope="row"{classes[0]}>{_html_cell(row[0])}</th>'
        rest = "".join(f"<td{c}>{_html_cell(cell)}</td>" for cell, c in zip(row[1:], classes[1:], strict=True))
        opening = '<tr class="rule">' if index == table.rule_before else "<tr>"
        body.append(f"{opening}{first}{rest}</tr>")
    head = f'<tr class="groups">{groups}</tr>' if groups else ""
    lines = "\n".join(body)
    wide = ' class="wide"' if len(table.headers) > WIDE else ""
    start = f'<div class="scroll"><table{wide}>\n<thead>{head}<tr>{header}</tr></thead>'
    return f"{start}\n<tbody>\n{lines}\n</tbody></table></div>"


def _group_starts(table: Table) -> set[int]:
    starts, column = set(), 0
    for _, span in table.groups:
        starts.add(column)
        column += span
    return starts - {0}


def _classes(column: int, table: Table, starts: set[int]) -> str:
    names = [*(["words"] if column in table.text_columns else []), *(["start"] if column in starts else [])]
    joined = " ".join(names)
    return f' class="{joined}"' if names else ""


def _html_cell(cell: Cell) -> str:
    text = f"<strong>{_inline(cell.text)}</strong>" if cell.strong else _inline(cell.text)
    if cell.link:
        text = f'<a href="{html.escape(cell.link, quote=True)}">{text}</a>'
    return text + "".join(f"<small>{_inline(note)}</small>" for note in cell.notes)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _markdown(block: Block, level: int = 2) -> str:
    match block:
        case Paragraph(text):
            return _plain(text)
        case Notice(text):
            return f"> **{_plain(text)}**"
        case Facts(items):
            return "\n".join(f"- **{_plain(term)}**: {_plain(text)}" for term, text in items.items())
        case Picture(name, _, caption):
            return f"![{_plain(caption)}](figures/{name}.svg)\n\n*{_plain(caption)}*"
        case Details(summary, blocks, html_only):
            inside = "\n\n".join(_markdown(inner, level + 1) for inner in blocks)
            return "" if html_only else f"<details><summary>{_plain(summary)}</summary>\n\n{inside}\n\n</details>"
        case Section(title, blocks):
            inside = "\n\n".join(text for inner in blocks if (text := _markdown(inner, level + 1)))
            return f"{'#' * level} {_plain(title)}\n\n{inside}"
        case Table():
            return _markdown_table(block)


def _markdown_table(table: Table) -> str:
    groups = [title for title, span in table.groups for _ in range(span)] or [""] * len(table.headers)
    headers = [
        _markdown_cell(Cell(cell.text, tuple(filter(None, (*cell.notes, group)))))
        for cell, group in zip(table.headers, groups, strict=True)
    ]
    alignment = [":--" if column in table.text_columns else "--:" for column in range(len(headers))]
    lines = [headers, alignment]
    for index, row in enumerate(table.rows):
        if index == table.rule_before:
            lines.append(["*baselines*", *[""] * (len(headers) - 1)])
        lines.append([_markdown_cell(cell) for cell in row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    text = f"**{_plain(cell.text)}**" if cell.strong else _plain(cell.text)
    if cell.link:
        text = f"[{text}](<{cell.link}>)"
    notes = "".join(f"<br><sub>{_plain(note)}</sub>" for note in cell.notes)
    return (text + notes).replace("|", "\\|")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
