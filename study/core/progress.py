"""Latest report of a stage at work, kept in its unfinished folder for `status` and for the attempt that goes on."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from study.core.manifest import PROGRESS
from study.home.files import parse_object
from trainers.records import checked, is_of


@dataclass(frozen=True, kw_only=True)
class StageProgress:
    """The latest report of a stage at work.

    Attributes:
        epoch: the epoch at work; 0 where the stage has none.
        metrics: its metrics by name, which may be NaN, and `fraction` of the whole stage that is done.
        time: when it was made, in seconds since 1970.
        seconds: spent on the stage until then, those of interrupted runs included.
        host: name of the machine.
    """

    epoch: int
    metrics: Mapping[str, float]
    time: float
    seconds: float
    host: str


def write_progress(folder: Path, progress: StageProgress) -> None:
    """Keeps a report in an unfinished folder."""
    (folder / PROGRESS).write_text(json.dumps(asdict(progress)))


def read_progress(folder: Path) -> StageProgress | None:
    """The report that is kept in an unfinished folder; None where there is none, or half of one, or a damaged one."""
    with suppress(OSError, ValueError, TypeError):
        content = parse_object((folder / PROGRESS).read_bytes())
        metrics = content.get("metrics")
        numbers = metrics.items() if isinstance(metrics, dict) else ()
        known = {name: float(value) for name, value in numbers if isinstance(value, float) or is_of(value, float)}
        return StageProgress(**{**checked(StageProgress(**{**content, "metrics": {}})).__dict__, "metrics": known})
    return None
