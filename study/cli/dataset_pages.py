"""Registered datasets at the command line: what of them is stored, and the page on one of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from search_spaces.protocol.scales import SCALES
from study.cli.ingest_record import num_errors, read_record, recorded_names
from study.core.graph import key
from study.core.store import Store
from study.home.files import write_text
from study.home.text import duration
from study.report.dataset_report import VideoPage, dataset_document
from study.report.render_html import render_html
from trainers.artifacts.audit import Audit, read_audit
from trainers.data.datasets import registry as datasets
from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.frames import FrameStore
from trainers.data.ingest.video import Ingest
from trainers.runtime.registry import names
from trainers.stage import FreelunchError

NUM_FRAMES, FRAME_WIDTH_PX, JPEG_QUALITY = 8, 150, 80
"""Of the contact sheet, per video."""


def dataset_records(home: Path) -> tuple[list[dict[str, Any]], list[FreelunchError]]:
    """One record per dataset: those that are registered, then those whose audit found errors.

    Beside them is why others have none: a record that cannot be read, or videos that have changed since.
    """
    registered, store = names(home / "datasets"), Store(home, create=False)
    records, faults = [], []
    for name in registered:
        try:
            records.append(_record(datasets.load(home / "datasets", name), store))
        except FreelunchError as error:
            faults.append(error)
    return records + [_refused(home, name) for name in recorded_names(home) if name not in registered], faults


def write_page(home: Path, name: str, output: Path | None) -> Path:
    """Writes the page on a dataset, a single file, and returns its path.

    Raises:
        InputError: it is not registered, or a video or annotation changed since it was.
        MachineError: its record cannot be read.
    """
    dataset, store = datasets.load(home / "datasets", name), Store(home, create=False)
    findings = read_record(home, name).get("findings", [])
    pages = [_video_page(*each, store) for each in zip(dataset.recordings, _stored_best(dataset, store), strict=True)]
    document = dataset_document(name, _facts(dataset, store), dataset.phases, pages, findings)
    path = output or home / "datasets" / f"{name}.html"
    write_text(path, render_html(document))
    return path


def _record(dataset: Dataset, store: Store) -> dict[str, Any]:
    record = read_record(store.home, dataset.name)
    stored = _stored(dataset, store)
    failures = record.get("failures", {}) if max(stored.values(), default=0) < len(dataset.recordings) else {}
    return {
        "name": dataset.name,
        "layout": dataset.layout,
        "videos": len(dataset.recordings),
        "hours": dataset.hours,
        "root": dataset.root,
        "stored": stored,
        "failed": failures,
        "errors": 0,
        "warnings": len(record.get("findings", ())),
    }


def _refused(home: Path, name: str) -> dict[str, Any]:
    record = read_record(home, name)
    findings = record.get("findings", [])
    return {
        "name": name,
        "layout": "",
        "videos": 0,
        "hours": 0.0,
        "root": record.get("root", ""),
        "stored": {},
        "failed": {},
        "errors": num_errors(findings),
        "warnings": len(findings) - num_errors(findings),
    }


def _stored(dataset: Dataset, store: Store) -> dict[str, int]:
    """The number of videos that are stored at the sizes of every scale, where any is."""
    counts = {}
    for scale in SCALES.values():
        videos = dataset.videos(fps=scale.feature_fps, size_px=scale.store_px)
        counts[scale.name] = sum(store.find(key(video)) is not None for video in videos)
    return {scale: count for scale, count in counts.items() if count}


def _stored_best(dataset: Dataset, store: Store) -> Iterator[tuple[Ingest, Path] | None]:
    """The stage and the artifact of every video at the largest size that it is stored at; None where it is not."""
    scales = sorted(SCALES.values(), key=lambda scale: -scale.store_px)
    found = [dataset.videos(fps=scale.feature_fps, size_px=scale.store_px) for scale in scales]
    for stages in zip(*found, strict=True):
        stored = ((stage, folder) for stage in stages if (folder := store.find(key(stage))) is not None)
        yield next(stored, None)


def _video_page(recording: RegisteredVideo, stored: tuple[Ingest, Path] | None, store: Store) -> VideoPage:
    facts = {"stored as": "not stored", "remarks": _remarks(recording, ())}
    labels, fps, shape = None, 1.0, 1.0
    frames: tuple[bytes, ...] = ()
    if stored is not None:
        stage, folder = stored
        audit, fps = read_audit(folder), stage.fps
        margins = audit.margins
        width = audit.width_px - margins["left"] - margins["right"]
        shape = width / (audit.height_px - margins["top"] - margins["bottom"])
        with FrameStore(folder) as opened:
            labels = opened.labels if recording.annotation else None
            frames = tuple(_frame(opened, row, shape) for row in _spread(len(opened)))
        facts = _video_facts(recording, audit, stage)
    return VideoPage(
        name=recording.name,
        seconds=recording.num_frames / recording.fps,
        labels=labels,
        fps=fps,
        frames=frames,
        shape=shape,
        facts=facts,
        stretches=tuple((each.start, each.stop) for each in recording.stretches),
    )


def _video_facts(recording: RegisteredVideo, audit: Audit, stage: Ingest) -> dict[str, str]:
    margins = audit.margins
    return {
        "frames per second": f"{audit.source_fps:g}",
        "size": f"{audit.width_px}×{audit.height_px}",
        "margins cut": f"{margins['left']}/{margins['top']}/{margins['right']}/{margins['bottom']}",
        "stored as": f"{audit.num_rows} rows at {stage.fps:g} fps, {stage.size_px} px",
        "remarks": _remarks(recording, audit.warnings),
    }


def _remarks(recording: RegisteredVideo, warnings: tuple[str, ...]) -> str:
    black = [f"{each.kind} for {duration(each.stop - each.start)}" for each in recording.stretches]
    copies = ["has copies"] if recording.copies else []
    unlabelled = [] if recording.annotation else ["no annotation"]
    return "; ".join([*unlabelled, *black, *copies, *warnings])


def _facts(dataset: Dataset, store: Store) -> dict[str, str]:
    stored = ", ".join(f"{count} at scale {scale}" for scale, count in _stored(dataset, store).items())
    annotated = sum(each.annotation is not None for each in dataset.recordings)
    left_out = sum(each.stop - each.start for video in dataset.recordings for each in video.stretches)
    return {
        "layout": dataset.layout,
        "folder": dataset.root,
        "annotated videos": str(annotated),
        "videos without annotation": str(len(dataset.recordings) - annotated),
        "stored": stored or "none",
        "black or frozen": duration(left_out) if left_out else "none",
    }


def _spread(length: int) -> list[int]:
    """Rows in the middle of equal parts of a store."""
    count = min(NUM_FRAMES, length)
    return [int((number + 0.5) * length / count) for number in range(count)]


def _frame(store: FrameStore, row: int, shape: float) -> bytes:
    height = round(FRAME_WIDTH_PX / shape)
    image = cv2.resize(store.read(row), (FRAME_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()
