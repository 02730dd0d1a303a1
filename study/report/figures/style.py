"""The style of figures: their colours, and how they are drawn and written as SVG and PNG."""

import io
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from study.core.study import Study

INK, FAINT = "#1f2430", "#8a909c"
ROW_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")
BASELINE_COLOURS = ("#4d5562", "#868d99", "#a9afb9", "#c6cad1")
"""Rows: Okabe and Ito's palette, safe for colour-blind readers; baselines in greys."""
PIXELS_PER_INCH = 100
TITLE_LENGTH = 34
FEWEST_LETTERS = 12
"""Of the beginning of a title that is cut."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#c4c9d1",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "y",
    "grid.color": "#eceef1",
    "xtick.color": "#5b6270",
    "ytick.color": "#5b6270",
    "xtick.labelcolor": "#3b414d",
    "ytick.labelcolor": "#3b414d",
    "legend.frameon": False,
    "figure.dpi": PIXELS_PER_INCH,
    "svg.fonttype": "path",
}


def draw(paint: Callable[[Figure], None], width_px: int, height_px: int) -> Figure:
    """A figure of a size, painted in this style without a change of matplotlib's global state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width_px / PIXELS_PER_INCH, height_px / PIXELS_PER_INCH), layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        _settle(figure)
    return figure


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element; `name` keeps the ids of several figures on one page distinct.

    The canvas prints it directly: `savefig` would draw it twice, once for a layout that is settled already.
    """
    buffer = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    text = buffer.getvalue()
    return text[text.index("<svg") :].strip()


def write_png(figure: Figure, path: Path, *, scale: float = 2.0) -> None:
    """Writes the figure as PNG, with `scale` pixels for every pixel of its size."""
    with mpl.rc_context(STYLE):
        figure.set_dpi(PIXELS_PER_INCH * scale)
        FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})  # type: ignore[no-untyped-call]
        figure.set_dpi(PIXELS_PER_INCH)


def row_colours(study: Study) -> dict[str, str]:
    """The colour of every row, computed or not, by name; the same in all figures, and that of a series for its rows."""
    asked, grey, rows = cycle(ROW_COLOURS), cycle(BASELINE_COLOURS), study.all_rows()
    lines = dict.fromkeys((row.series or row.name, row.baseline) for row in rows)
    found = {line: next(grey if baseline else asked) for line, baseline in lines}
    return {row.name: found[row.series or row.name] for row in rows}


def short_title(title: str, length: int = TITLE_LENGTH) -> str:
    """A title that fits beside an axis; a number after the last comma, such as 25 % of labels, tells rows apart."""
    if len(title) <= length:
        return title
    _, comma, last = title.rpartition(", ")
    kept = comma + last if last[:1].isdigit() and len(comma + last) <= length - FEWEST_LETTERS else ""
    return f"{title[: length - 1 - len(kept)].rstrip(' ,:')}…{kept}"


def _settle(figure: Figure) -> None:
    """Lays the figure out once, not again for every format."""
    engine = figure.get_layout_engine()
    assert engine is not None, "figures are drawn with a layout"
    engine.execute(figure)
    figure.set_layout_engine("none")
