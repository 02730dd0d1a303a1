"""Audit of a data set before any work: every file is looked at, and all findings come together."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainers.data.datasets.dataset import Dataset, RegisteredVideo
from trainers.data.datasets.recordings import Recording, check_files, digest
from trainers.data.datasets.scan import Scan, Scans
from trainers.data.ingest.findings import Finding, findings_of
from trainers.data.ingest.video import Ingest
from trainers.runtime.registry import stamp_of
from trainers.stage import InputError

READ_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A data set as it was found.

    Attributes:
        dataset: its recordings that could be read.
        findings: all findings, in the order of the recordings.
    """

    dataset: Dataset
    findings: tuple[Finding, ...]


def read_recordings(
    recordings: Iterable[Recording],
    scans: Scans,
    report: Callable[[str], None],
    *,
    image_fps: float | None,
    by_index: bool,
) -> tuple[tuple[RegisteredVideo, ...], tuple[Finding, ...]]:
    """Reads every recording from end to end, where it has changed since it was last read.

    Args:
        recordings: the recordings.
        scans: of earlier.
        report: called with the name of every recording once it is read.
        image_fps: the rate of the images that recordings are folders of; None where they are video files.
        by_index: whether frames are counted at 25 fps, and not taken by their time.

    Returns:
        Those that could be read, and findings on all of them.
    """

    def read(recording: Recording) -> tuple[RegisteredVideo | None, tuple[Finding, ...]]:
        try:
            return _read(recording, scans, image_fps, by_index)
        except InputError as error:
            return None, findings_of(error, recording.video)
        finally:
            report(recording.name)

    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        found = list(pool.map(read, recordings))
    return (
        tuple(video for video, _ in found if video is not None),
        tuple(finding for _, findings in found for finding in findings),
    )


def examine(stages: Iterable[Ingest]) -> Iterator[Finding]:
    """Findings on the annotation of every recording, and on its length beside that of the recording."""
    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        for findings in pool.map(_examined, stages):
            yield from findings


def check_distinct(recordings: Iterable[RegisteredVideo]) -> Iterator[Finding]:
    """Findings on videos that are there twice: a copy could train a model that it tests."""
    seen: dict[str, RegisteredVideo] = {}
    for recording in recordings:
        digests = [each for each in (recording.video_digest, recording.stream_digest) if each is not None]
        twin = next((seen[each] for each in digests if each in seen), None)
        seen |= dict.fromkeys(digests, recording)
        if twin is not None:
            yield _copy(recording, twin)


def _copy(recording: RegisteredVideo, twin: RegisteredVideo) -> Finding:
    if (twin.annotation is None) == (recording.annotation is None):
        message = f"is the same video as {twin.video}"
        return Finding(path=recording.video, message=message, remedy="move one of them away")
    unlabelled, annotated = sorted((twin, recording), key=lambda each: each.annotation is not None)
    message = f"is the same video as {annotated.video}, which is annotated"
    return Finding(path=unlabelled.video, message=message, remedy="move it away from the unlabelled ones")


def _examined(stage: Ingest) -> tuple[Finding, ...]:
    place = stage.annotation_path or stage.video_path
    try:
        warning = partial(Finding, path=str(stage.video_path), severity="warning")
        return tuple(warning(message=message) for message in stage.examine())
    except InputError as error:
        return findings_of(error, place)


def _read(
    recording: Recording, scans: Scans, image_fps: float | None, by_index: bool
) -> tuple[RegisteredVideo, tuple[Finding, ...]]:
    check_files(recording, frames=image_fps is not None)
    stamp, scan = stamp_of(recording.video), scans.of(recording, image_fps=image_fps)
    irregular = scan.irregular if by_index else scan.irregular_by_time
    if irregular:
        raise InputError(irregular)
    by_timing = scan.remarks_by_index if by_index else scan.remarks_by_time
    remarks = (*scan.remarks, *by_timing, *_on_stretches(scan))
    warnings = (Finding(path=str(recording.video), message=remark, severity="warning") for remark in remarks)
    timeline = scans.timeline_of(recording.video) if image_fps is None else None
    return _registered(recording, scan, stamp, timeline), tuple(warnings)


def _on_stretches(scan: Scan) -> Iterator[str]:
    for stretch in scan.stretches:
        yield (
            f"is {stretch.kind} from {_clock(stretch.start)} to {_clock(stretch.stop)}, which pre-training leaves out "
            "unless `--set stretches=kept`"
        )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{seconds % 60:04.1f}"


def _registered(recording: Recording, scan: Scan, stamp: tuple[int, int], timeline: Path | None) -> RegisteredVideo:
    annotation = recording.annotation
    return RegisteredVideo(
        name=recording.name,
        video=str(recording.video),
        annotation=str(annotation) if annotation else None,
        subset=recording.subset,
        video_digest=scan.digest,
        annotation_digest=digest(annotation) if annotation else None,
        num_frames=scan.num_frames,
        video_stamp=stamp,
        annotation_stamp=stamp_of(annotation) if annotation else None,
        stream_digest=scan.stream_digest,
        fps=scan.fps,
        num_images=scan.num_images,
        fold=recording.fold,
        images=recording.images,
        oddities=scan.oddities,
        stretches=scan.stretches,
        timeline=str(timeline) if timeline else None,
    )
