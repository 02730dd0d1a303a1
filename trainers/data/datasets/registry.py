"""Registered datasets: names of sets of recordings whose content was digested once, at ingest."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainers.data.datasets.audit import Audit, check_distinct, examine, read_recordings
from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.datasets.description import BUILT_IN, Description
from trainers.data.datasets.discovery import discover
from trainers.data.datasets.image_lengths import check_lengths
from trainers.data.datasets.leaks import with_copies
from trainers.data.datasets.scan import Scans
from trainers.data.datasets.synthetic_mark import marked_hospital
from trainers.data.ingest.findings import refuse_errors
from trainers.data.ingest.stretches import Stretch
from trainers.data.ingest.video import SMALLEST_SIDE_PX
from trainers.names import alike, check_case, check_name
from trainers.runtime.registry import names, read_record, stamp_of, write_record
from trainers.stage import InputError, MachineError

SCANS = "scans"
"""Folder of what was read of videos, beside the registered datasets."""


def audit(
    folder: Path,
    name: str,
    described: Description,
    root: Path,
    report: Callable[[str], None],
    unlabelled: Path | None = None,
    *,
    fps: float = 5,
) -> Audit:
    """Looks at every recording below `root`, and at every annotation, before any work; nothing is registered.

    A video that has the size and time of modification it had when it was last read is not read again.

    Args:
        folder: where registered datasets are kept.
        name: of the dataset.
        described: what its folder holds.
        root: the dataset's folder.
        report: called with the name of every recording once it is read.
        unlabelled: a folder of further videos without annotations, for pre-training alone.
        fps: the rate that rows will be stored at.

    Raises:
        InputError: the name is no plain word.
    """
    check_name(name, "a dataset")
    check_case(name, names(folder), "a dataset")
    root = Path(os.path.realpath(root))
    unlabelled = Path(os.path.realpath(unlabelled)) if unlabelled else None
    found, scans = discover(described, root, unlabelled), Scans(folder / SCANS)
    recordings, more = read_recordings(
        found.recordings,
        scans,
        report,
        image_fps=described.fps,
        by_index=described.timing == "index",
    )
    dataset = Dataset(
        name=name,
        layout=described.source if described.is_builtin else Path(described.source).name,
        root=str(root),
        phases=described.phases,
        recordings=recordings,
        unlabelled=str(unlabelled) if unlabelled else None,
        description=described.text,
        source=None if described.is_builtin else described.source,
        image_fps=described.given_fps,
        synthetic=marked_hospital(root),
    )
    stages = dataset.videos(fps=fps, size_px=SMALLEST_SIDE_PX)
    about_all = (*check_lengths(described, dataset.root, recordings), *check_distinct(recordings))
    dataset, copies = with_copies(dataset, list(_others(folder, name)), scans)
    return Audit(dataset=dataset, findings=(*found.findings, *more, *about_all, *examine(stages), *copies))


def _others(folder: Path, name: str) -> Iterator[Dataset]:
    """The other registered datasets, without those whose records cannot be read."""
    for other in names(folder):
        if other != name:
            with suppress(MachineError):
                yield _read(folder, other)


def write(folder: Path, audited: Audit) -> Dataset:
    """Registers a dataset that was audited.

    Raises:
        FoundError: the audit found errors.
    """
    refuse_errors(audited.findings)
    write_record(folder, audited.dataset.name, asdict(audited.dataset))
    return audited.dataset


def register(
    folder: Path,
    name: str,
    described: Description,
    root: Path,
    report: Callable[[str], None],
    unlabelled: Path | None = None,
) -> Dataset:
    """Audits a dataset and registers it; the arguments are those of `audit`.

    Raises:
        InputError: the name is no plain word.
        FoundError: the audit found errors.
    """
    return write(folder, audit(folder, name, described, root, report, unlabelled))


def load(folder: Path, name: str) -> Dataset:
    """A registered dataset.

    Raises:
        InputError: it is not registered, or a video or annotation changed since it was.
        MachineError: its record cannot be read.
    """
    if name not in names(folder):
        known, layout = names(folder), name if name in BUILT_IN else "cholec80"
        near = alike(name, known)
        remedy = f"did you mean {near[0]!r}?" if near else f"`freelunch ingest {layout} FOLDER --name {name}` adds it."
        check_name(name, "a dataset")
        raise InputError(f"no dataset named {name!r} (registered: {', '.join(known) or 'none'}): {remedy}")
    dataset = _read(folder, name)
    for recording in dataset.recordings:
        for file, stamp in (
            (recording.video, recording.video_stamp),
            (recording.annotation, recording.annotation_stamp),
        ):
            if file and Path(file).exists() and stamp_of(Path(file)) != stamp:
                raise InputError(
                    f"{file} changed since dataset {name!r} was ingested: "
                    f"`freelunch {shlex.join(_ingest_command(dataset))}` reads it again."
                )
    return dataset


def _ingest_command(dataset: Dataset) -> list[str]:
    unlabelled = ["--unlabelled", dataset.unlabelled] if dataset.unlabelled else []
    fps = ["--fps", f"{dataset.image_fps:g}"] if dataset.image_fps is not None else []
    return ["ingest", dataset.source or dataset.layout, dataset.root, *fps, *unlabelled, "--name", dataset.name]


def _read(folder: Path, name: str) -> Dataset:
    remedy = f"`freelunch ingest DESCRIPTION FOLDER --name {name}` registers the dataset again."
    return read_record(folder, name, _dataset, remedy)


def _dataset(record: dict[str, Any]) -> Dataset:
    if record.get("description") is None and record["layout"] not in BUILT_IN:
        raise ValueError("a layout of another version")
    record.setdefault("synthetic", marked_hospital(Path(record["root"])))  # records of earlier versions lack it
    recordings = tuple(_video(recording) for recording in record.pop("recordings"))
    dataset = Dataset(**{**record, "phases": tuple(record["phases"])}, recordings=recordings)
    dataset.described  # noqa: B018 - a description that cannot be read is found out here
    return dataset


def _video(record: dict[str, Any]) -> RegisteredVideo:
    if (record["annotation"] is None) != (record["annotation_digest"] is None):
        raise ValueError("an annotation has a path and a digest")
    stamps = {name: record[name] and tuple(record[name]) for name in ("video_stamp", "annotation_stamp")}
    stretches = tuple(Stretch(**stretch) for stretch in record.get("stretches", ()))
    tuples = {name: tuple(record.get(name, ())) for name in ("oddities", "copies")}
    return RegisteredVideo(**{**record, **stamps, **tuples, "stretches": stretches})
