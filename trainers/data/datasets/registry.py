"""Registered datasets: names of sets of recordings whose content was digested once, at ingest."""

import os
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trainers.data.datasets import frame_folders
from trainers.data.datasets.dataset import LAYOUTS, Dataset, Layout, RegisteredVideo
from trainers.data.datasets.recordings import Recording, check_files, digest, loose_videos
from trainers.data.ingest.video_file import read_timeline
from trainers.names import check_case, check_name
from trainers.runtime.registry import names, read_record, stamp_of, write_record
from trainers.stage import InputError, MachineError


def register(
    folder: Path, name: str, layout: str, root: Path, report: Callable[[str], None], unlabelled: Path | None = None
) -> Dataset:
    """Digests every recording below `root` and registers them under a name.

    A video that has the size and time of modification it had when it was last digested is not read again.

    Args:
        folder: where registered datasets are kept.
        name: of the dataset.
        layout: a key of `LAYOUTS`.
        root: the dataset's folder.
        report: called with the name of every recording once it is digested.
        unlabelled: a folder of further videos without annotations, for pre-training alone.

    Raises:
        InputError: the name is no plain word, a folder has another layout, a video cannot be read, or an
            unlabelled video is an annotated one.
    """
    check_name(name, "a dataset")
    check_case(name, names(folder), "a dataset")
    known = {video.video: video for video in _known(folder, name)}
    root = Path(os.path.realpath(root))
    found = LAYOUTS[layout].discover(root)
    if unlabelled:
        unlabelled = Path(os.path.realpath(unlabelled))
        found += _unlabelled(LAYOUTS[layout], unlabelled)
    for recording in found:
        check_files(recording, frames=LAYOUTS[layout].frames)

    def registered(recording: Recording) -> RegisteredVideo:
        video = _registered(recording, known.get(str(recording.video)), frames=LAYOUTS[layout].frames)
        report(recording.name)
        return video

    with ThreadPoolExecutor(2) as pool:
        recordings = tuple(pool.map(registered, found))
    _check_distinct(recordings)
    dataset = Dataset(
        name=name,
        layout=layout,
        root=str(root),
        phases=LAYOUTS[layout].phases,
        recordings=recordings,
        unlabelled=str(unlabelled) if unlabelled else None,
    )
    write_record(folder, name, asdict(dataset))
    return dataset


def load(folder: Path, name: str) -> Dataset:
    """A registered dataset.

    Raises:
        InputError: it is not registered, or a video or annotation changed since it was.
        MachineError: its record cannot be read.
    """
    if name not in names(folder):
        known = ", ".join(names(folder)) or "none"
        layout = name if name in LAYOUTS else "cholec80"
        raise InputError(
            f"no dataset named {name!r} (registered: {known}): "
            f"`freelunch ingest {layout} FOLDER --name {name}` adds it."
        )
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
    return ["ingest", dataset.layout, dataset.root, *unlabelled, "--name", dataset.name]


def _unlabelled(layout: Layout, folder: Path) -> tuple[Recording, ...]:
    found = frame_folders.discover(folder, labelled=False) if layout.frames else loose_videos(folder)
    return tuple(replace(recording, annotation=None, subset=None) for recording in found)


def _check_distinct(recordings: Iterable[RegisteredVideo]) -> None:
    """Refuses a video that is there twice: its copy could train a model that it tests."""
    seen: dict[str, RegisteredVideo] = {}
    for recording in recordings:
        digests = [each for each in (recording.video_digest, recording.stream_digest) if each is not None]
        twin = next((seen[each] for each in digests if each in seen), None)
        seen |= dict.fromkeys(digests, recording)
        if twin is None:
            continue
        if (twin.annotation is None) != (recording.annotation is None):
            unlabelled, annotated = sorted((twin, recording), key=lambda each: each.annotation is not None)
            raise InputError(
                f"{unlabelled.video} is the same video as {annotated.video}, which is annotated: "
                "move it away from the unlabelled ones."
            )
        raise InputError(f"{recording.video} is the same video as {twin.video}: move one of them away.")


def _known(folder: Path, name: str) -> tuple[RegisteredVideo, ...]:
    """The recorded videos of a dataset; none where the record cannot be read, so that they are digested again."""
    try:
        return _read(folder, name).recordings if name in names(folder) else ()
    except MachineError:
        return ()


def _read(folder: Path, name: str) -> Dataset:
    remedy = f"`freelunch ingest LAYOUT FOLDER --name {name}` registers the dataset again."
    return read_record(folder, name, _dataset, remedy)


def _dataset(record: dict[str, Any]) -> Dataset:
    if record["layout"] not in LAYOUTS:
        raise ValueError("a layout of another version")
    recordings = tuple(_video(recording) for recording in record.pop("recordings"))
    return Dataset(**{**record, "phases": tuple(record["phases"])}, recordings=recordings)


def _video(record: dict[str, Any]) -> RegisteredVideo:
    stamps = {name: record[name] and tuple(record[name]) for name in ("video_stamp", "annotation_stamp")}
    return RegisteredVideo(**{**record, **stamps})


def _registered(recording: Recording, known: RegisteredVideo | None, *, frames: bool) -> RegisteredVideo:
    stamp = stamp_of(recording.video)
    # The stamp of a folder does not tell whether an image in it has changed.
    unchanged = known if known is not None and known.video_stamp == stamp and not frames else None
    if unchanged:
        video_digest, stream_digest, num_frames = unchanged.video_digest, unchanged.stream_digest, unchanged.num_frames
    elif frames:
        video_digest, stream_digest = frame_folders.digest_frames(recording.video), None
        num_frames = frame_folders.num_source_frames(recording.video)
    else:
        timeline = read_timeline(recording.video)
        video_digest, stream_digest, num_frames = digest(recording.video), timeline.stream_digest, timeline.num_frames
    return RegisteredVideo(
        name=recording.name,
        video=str(recording.video),
        annotation=str(recording.annotation) if recording.annotation else None,
        subset=recording.subset,
        video_digest=video_digest,
        annotation_digest=digest(recording.annotation) if recording.annotation else None,
        num_frames=num_frames,
        video_stamp=stamp,
        annotation_stamp=stamp_of(recording.annotation) if recording.annotation else None,
        stream_digest=stream_digest,
    )
