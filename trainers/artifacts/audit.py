"""Audit of an ingested recording: its rate, size and length, and what was cut, in `audit.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

FILE_NAME = "audit.json"


class MarginWidths(TypedDict):
    """Pixels cut from each side of a picture."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Properties of an ingested recording; lengths are in frames at the source's rate.

    Attributes:
        video: name of the recording.
        source_fps: frame rate of the recording.
        width_px: width of its frames, before margins are cut.
        height_px: height of its frames, before margins are cut.
        num_frames_video: length of the recording.
        num_frames_annotation: length of the annotation, where there is one.
        num_frames_cut: frames that the longer of video and annotation loses.
        num_rows: frames in the store.
        margins: pixels cut from each side.
        phases: frames of every phase that occurs.
        warnings: one sentence each.
    """

    video: str
    source_fps: float
    width_px: int
    height_px: int
    num_frames_video: int
    num_frames_annotation: int | None
    num_frames_cut: int
    num_rows: int
    margins: MarginWidths
    phases: Mapping[str, int]
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Duration of the recording."""
        return self.num_frames_video / self.source_fps


def write_audit(folder: Path, audit: Audit) -> None:
    """Writes the audit of a recording into its artifact."""
    (folder / FILE_NAME).write_text(json.dumps(asdict(audit), indent=1) + "\n", encoding="utf-8")


def read_audit(folder: Path) -> Audit:
    """Reads the audit of a recording's artifact."""
    record = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    return Audit(**{**record, "warnings": tuple(record["warnings"])})
