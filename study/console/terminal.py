"""The terminal: consoles on standard output and error, and tables in one style."""

import os
import sys

from rich.console import Console
from rich.table import Table

FILE_WIDTH = 140
"""Columns of a table that goes into a file or a pipe."""
LEAST_WIDTH = 40
"""Columns below which a table cannot be read: a terminal without a size says 0 or 1."""


def new_console(*, stderr: bool = False) -> Console:
    """A console on standard output or error, wide enough for the tables in files and pipes.

    The stream is named, so that a stage's output, redirected to its log, does not take the display with it.
    """
    stream = sys.stderr if stderr else sys.stdout
    console = Console(file=stream, width=None if stream.isatty() or "COLUMNS" in os.environ else FILE_WIDTH)
    console.width = max(console.width, LEAST_WIDTH)
    return console


def new_table(*headers: str) -> Table:
    """A table without lines."""
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
