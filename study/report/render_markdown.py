"""A document as GitHub's Markdown; its figures are links into `figures/`."""

from study.report.document import (
    Block,
    Cell,
    Details,
    Document,
    Facts,
    Images,
    Notice,
    Paragraph,
    Picture,
    Section,
    Table,
)


def render_markdown(document: Document) -> str:
    """The document as one Markdown file."""
    texts = (f"# {_plain(document.title)}", _plain(document.question), *map(_markdown, document.blocks))
    return "\n\n".join(filter(None, texts)) + "\n"


def _markdown(block: Block, level: int = 2) -> str:
    match block:
        case Paragraph(text):
            return _plain(text)
        case Notice(text):
            lines, mark = text.splitlines(), "- " if "\n" in text else ""
            return "\n".join(f"> {mark}**{_plain(line)}**" for line in lines)
        case Facts(items):
            return "\n".join(f"- **{_plain(term)}**:{_listed(text)}" for term, text in items.items())
        case Picture(name, _, caption):
            return f"![{_plain(caption)}](figures/{name}.svg)\n\n*{_plain(caption)}*"
        case Images(title, jpegs):
            return f"*{_plain(title)}: {len(jpegs)} images in the HTML page.*"
        case Details(summary, blocks, html_only):
            inside = "\n\n".join(_markdown(inner, level + 1) for inner in blocks)
            return "" if html_only else f"<details><summary>{_plain(summary)}</summary>\n\n{inside}\n\n</details>"
        case Section(title, blocks):
            inside = "\n\n".join(text for inner in blocks if (text := _markdown(inner, level + 1)))
            return f"{'#' * level} {_plain(title)}\n\n{inside}"
        case Table():
            return _markdown_table(block)


def _listed(text: str) -> str:
    """The description of a term, several lines of it as items one level below it."""
    lines = _plain(text).splitlines()
    return "".join(f"\n  - {line}" for line in lines) if len(lines) > 1 else f" {_plain(text)}"


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
