"""Types of the values of options: finite numbers within bounds, and text of one line; anything else is refused."""

import math
from pathlib import Path
from typing import Any

import click

from trainers.names import fault_of_line, shown

LONGEST_TEXT = 1000
LONGEST_PATH_BYTES, LONGEST_NAME_BYTES = 4095, 255
"""Of Linux: of a path, and of each of its parts."""


class Number(click.FloatRange):
    """A finite number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = click.FLOAT.convert(_short(value), param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return float(super().convert(number, param, ctx))


class Count(click.IntRange):
    """A whole number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return int(super().convert(_short(value), param, ctx))


class Line(click.ParamType):  # type: ignore[type-arg]  # of click 8.2 it has none
    """Text of one line, which is not empty."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        fault = fault_of_line(str(value), LONGEST_TEXT)
        if fault:
            self.fail(f"{shown(str(value))} {fault}.", param, ctx)
        return str(value)


class Location(click.ParamType):  # type: ignore[type-arg]
    """A path, which the file system can take."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        fault = fault_of_line(str(value), LONGEST_PATH_BYTES) or _fault_of_path(str(value))
        if fault:
            self.fail(f"{shown(str(value))} {fault}.", param, ctx)
        return Path(value)


def _short(value: Any) -> Any:
    """A value as errors show it, where it is text; no number is longer."""
    return value if not isinstance(value, str) or len(value) <= LONGEST_TEXT else shown(value)


def _fault_of_path(text: str) -> str:
    """The reason why no file system takes a path; empty where one does."""
    too_long = next((part for part in Path(text).parts if len(part.encode()) > LONGEST_NAME_BYTES), None)
    if too_long is not None:
        return f"holds a name of {len(too_long.encode())} bytes, and file systems take {LONGEST_NAME_BYTES}"
    return ""
