"""The files of a report: `report.html`, and `report.md` with its `figures/`."""

from pathlib import Path

from study.home.files import write_text
from study.report.document import Document, pictures
from study.report.render_html import render_html
from study.report.render_markdown import render_markdown

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"


def write_document(document: Document, folder: Path) -> Path:
    """Writes a document into a folder, created where it is missing; returns the path of the HTML page."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for picture in pictures(document.blocks):
        write_text(folder / FIGURES / f"{picture.name}.svg", picture.svg + "\n")
    write_text(folder / HTML, render_html(document))
    write_text(folder / MARKDOWN, render_markdown(document))
    return folder / HTML
