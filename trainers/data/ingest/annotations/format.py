"""Format of annotation files: how their rows give time and phase."""

from dataclasses import dataclass
from typing import Literal, get_args

from trainers.fields import CountOrZero, Rate, added
from trainers.stage import Config

Kind = Literal["frame-rows", "csv", "second-rows", "intervals", "cholect50"]
Unit = Literal["frames", "seconds", "hh:mm:ss"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True, kw_only=True)
class AnnotationFormat(Config):
    """Format of a dataset's annotation files.

    `frame-rows` are rows `frame<TAB>phase`; `csv` has a column with the phase and, where `time` names it, one with the
    time; `second-rows` give the phase of one second each, with or without its number before it; `intervals` have a
    start, an end and a phase; `cholect50` is a JSON file of triplets with the phase of every frame. What no row covers
    has no label, nor has a row that names `unlabelled`.
    """

    kind: Kind = "frame-rows"
    rate: Rate | None = 25.0
    """Rows per second; None for one row per frame of the video, whatever the video's rate is."""
    unit: Unit = "frames"
    """What the column with the time counts, or the start and end of an interval."""
    frame_rate: Rate | None = None
    """Frames per second of the unit `frames`; None where it counts rows."""
    first: CountOrZero | None = None
    """The number of the first frame or second; None for 0, where no file begins with 1."""
    phase: str = ""
    time: str = ""
    start: str = ""
    end: str = ""
    """Names of columns, or their numbers from 1; empty for the usual one of the kind."""
    separator: str = ""
    """Between two columns; empty for a tab, semicolon or comma, whichever the first row has, or else white space."""
    first_phase: CountOrZero | None = None
    """The number of the first phase where rows carry numbers of phases; None where they carry names."""
    unlabelled: tuple[str, ...] = ("unlabelled",)
    """What rows without a phase say; an empty cell is one, too."""
    end_included: bool = False
    """Whether the frame or second that ends an interval is a part of it."""
    holes: bool = True
    """Whether stretches may be left out; where not, they are errors."""
    phase_names: tuple[tuple[str, str], ...] = added(())
    """Words of the file that stand for phases, each with the name of its phase; phases stand for themselves, too."""

    @property
    def may_end_early(self) -> bool:
        """Whether a recording may go on after its annotation ends: rows without a time have to match its length."""
        return self.holes and (self.kind == "intervals" or bool(self.time))
