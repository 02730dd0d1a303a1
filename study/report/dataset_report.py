"""Page on a dataset: its frames, the phases of its videos, and what its audit found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from study.analysis.results import phase_title
from study.home.text import duration
from study.report.document import Block, Cell, Document, Facts, Images, Notice, Paragraph, Picture, Section, Table
from study.report.figures.dataset_ribbons import dataset_ribbons

PATIENTS = (
    "This page shows frames of patients. No report and no tracking server gets them: keep the page as safe as the "
    "videos are, and delete it when it is not needed any more."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoPage:
    """Part of the page that shows a video.

    Attributes:
        name: of the video.
        seconds: its length.
        labels: phase indices of its stored rows; None where it is not stored or has no annotation.
        fps: of these rows.
        frames: JPEG bytes of frames spread over it; empty where it is not stored.
        shape: width over height of its picture.
        facts: further cells of its row, by the header of their column.
        stretches: start and end in seconds of black or frozen stretches.
    """

    name: str
    seconds: float
    labels: npt.NDArray[np.int8] | None
    fps: float
    frames: Sequence[bytes]
    shape: float
    facts: Mapping[str, str]
    stretches: Sequence[tuple[float, float]] = ()


def dataset_document(
    name: str,
    facts: Mapping[str, str],
    phases: Sequence[str],
    videos: Sequence[VideoPage],
    findings: Sequence[Mapping[str, Any]],
) -> Document:
    """The page.

    Args:
        name: of the dataset.
        facts: on the whole dataset.
        phases: their names, in index order.
        videos: in the dataset's order.
        findings: of the audit.
    """
    hours = sum(video.seconds for video in videos) / 3600
    return Document(
        title=name,
        question=f"{len(videos)} videos, {hours:.1f} hours: what was found, phase by phase and frame by frame.",
        label="dataset",
        blocks=[
            Notice(PATIENTS),
            Facts(facts),
            _audit(findings),
            *_ribbons(phases, videos),
            *_phases(phases, videos),
            Section("Videos", [_videos_table(videos)]),
            *_frames(videos),
        ],
    )


def _audit(findings: Sequence[Mapping[str, Any]]) -> Section:
    if not findings:
        return Section("Audit", [Paragraph("Every file was looked at, and nothing unusual was found.")])
    headers = ("file", "line", "severity", "what was found", "what to do")
    rows = tuple(
        (
            Cell(finding["path"]),
            Cell(str(finding["line"] or "")),
            Cell(finding["severity"], strong=finding["severity"] == "error"),
            Cell((f"{finding['field']}: " if finding["field"] else "") + finding["message"]),
            Cell(finding["remedy"]),
        )
        for finding in findings
    )
    return Section("Audit", [_table(headers, rows, words={0, 2, 3, 4})])


def _ribbons(phases: Sequence[str], videos: Sequence[VideoPage]) -> Iterator[Block]:
    shown = [video for video in videos if video.labels is not None]
    if shown:
        caption = "Phases of every annotated video; white where there is no label. A black line below: black or frozen."
        ribbons = [
            (video.name, video.labels, video.fps, video.stretches) for video in shown if video.labels is not None
        ]
        yield Section("Phases over time", [Picture("phases", dataset_ribbons(phases, ribbons), caption)])


def _phases(phases: Sequence[str], videos: Sequence[VideoPage]) -> Iterator[Block]:
    lengths = {
        phase: [seconds for video in videos if video.labels is not None if (seconds := _seconds(video, index))]
        for index, phase in enumerate(phases)
    }
    total = sum(map(sum, lengths.values()))
    if not total:
        return
    rows = tuple(
        (
            Cell(phase_title(phase)),
            Cell(str(len(found))),
            Cell(duration(sum(found)) if found else "–"),
            Cell(f"{100 * sum(found) / total:.1f}"),
            Cell(duration(float(np.median(found))) if found else "–"),
        )
        for phase, found in lengths.items()
    )
    headers = ("phase", "videos with it", "in all", "share in %", "median per video")
    yield Section("Phases", [_table(headers, rows)])


def _seconds(video: VideoPage, phase: int) -> float:
    assert video.labels is not None, "only annotated videos are counted"
    return float((video.labels == phase).sum() / video.fps)


def _videos_table(videos: Sequence[VideoPage]) -> Table:
    columns = list(dict.fromkeys(column for video in videos for column in video.facts))
    rows = tuple(
        (
            Cell(video.name),
            Cell(duration(video.seconds)),
            *(Cell(video.facts.get(column, "")) for column in columns),
        )
        for video in videos
    )
    return _table(("video", "length", *columns), rows, words={0, len(columns) + 1})


def _frames(videos: Sequence[VideoPage]) -> Iterator[Block]:
    sheets = [Images(video.name, tuple(video.frames), video.shape) for video in videos if video.frames]
    if sheets:
        text = "Frames spread evenly over every stored video, as they are stored, in the shape of the picture."
        yield Section("Contact sheet", [Paragraph(text), *sheets])


def _table(headers: Sequence[str], rows: tuple[tuple[Cell, ...], ...], words: set[int] | None = None) -> Table:
    return Table(headers=tuple(map(Cell, headers)), rows=rows, text_columns=frozenset(words or {0}))
