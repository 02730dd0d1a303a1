"""Timeline of a video that is kept in a file, so that storing its frames does not read the video for it again."""

import json
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from trainers.data.ingest.looks import Look
from trainers.data.ingest.shown import Orientation
from trainers.data.ingest.timeline import Timeline
from trainers.runtime.arrays import read_arrays, write_arrays
from trainers.runtime.registry import stamp_of

FORMAT = 1
"""Raised when timelines hold something new, so that those of earlier versions are not used."""
ARRAYS, FRACTIONS = ("shown", "key_timestamps"), ("time_base", "pixel_aspect")


def keep_timeline(path: Path, timeline: Timeline, video: Path) -> None:
    """Writes the timeline of a video to a file."""
    facts = {each.name: getattr(timeline, each.name) for each in fields(timeline) if each.name not in ARRAYS}
    facts |= {name: str(facts[name]) for name in FRACTIONS}
    facts |= {"looks": [asdict(look) for look in timeline.looks], "of": _identity(video)}
    steps = {name: np.diff(np.asarray(getattr(timeline, name), np.int64), prepend=0) for name in ARRAYS}
    write_arrays(path, {"facts": np.array(json.dumps(facts)), **steps})


def kept_timeline(path: Path | None, video: Path) -> Timeline | None:
    """The timeline of a video as it was kept; None where there is none, or where the video has changed since."""
    arrays = None if path is None else read_arrays(path)
    facts = {} if arrays is None else json.loads(str(arrays["facts"]))
    if arrays is None or facts.pop("of") != _identity(video):
        return None
    shown, keys = (np.cumsum(arrays[name]) for name in ARRAYS)
    facts |= {name: Fraction(facts[name]) for name in FRACTIONS}
    looks = tuple(_look(look) for look in facts.pop("looks"))
    return Timeline(shown=shown, key_timestamps=tuple(keys.tolist()), looks=looks, **facts)


def _identity(video: Path) -> list[Any]:
    """The size and time of modification of a video, and what read it."""
    return [FORMAT, av.__version__, *stamp_of(video)]


def _look(record: dict[str, Any]) -> Look:
    orientation, size = Orientation(**record.pop("orientation")), tuple(record.pop("size"))
    return Look(orientation=orientation, size=size, **record)
