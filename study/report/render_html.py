"""A document as one HTML page that loads nothing: Jinja templates, with the figures as SVG in them."""

import base64
import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from study.report.document import Document, Picture, Table

WIDE = 12
"""Tables with more columns are set more tightly."""


def render_html(document: Document) -> str:
    """The document as one HTML page."""
    return _environment().get_template("report.html").render(document=document) + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("study.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"inline": _inline, "drawing": _drawing, "address": _address}
    environment.globals |= {"column_classes": _column_classes, "wide": WIDE}
    return environment


def _inline(text: str) -> Markup:
    """Escaped text, with `backticks` as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _address(jpeg: bytes) -> str:
    """An address that holds a photograph itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _drawing(picture: Picture) -> Markup:
    """The SVG element of a figure, with its caption for readers who cannot see it."""
    attributes = f'<svg role="img" aria-label="{escape(picture.caption)}" '
    return Markup(picture.svg.replace("<svg ", attributes, 1))


def _column_classes(table: Table) -> list[str]:
    """The class attribute of every column: whether it holds words, and whether a group starts at it."""
    starts = table.group_starts()
    names = [
        " ".join([*(["words"] if i in table.text_columns else []), *(["start"] if i in starts else [])])
        for i in range(len(table.headers))
    ]
    return [Markup(f' class="{each}"') if each else "" for each in names]
