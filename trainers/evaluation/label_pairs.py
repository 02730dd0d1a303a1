"""Predictions and annotations of the same videos, read from their files and put together row by row."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainers.artifacts.predictions import VideoPredictions
from trainers.data.frames import UNLABELLED
from trainers.data.ingest.annotations import AnnotationFormat, LabelTrack, read_labels
from trainers.data.ingest.annotations.cells import exact_rate
from trainers.data.ingest.rows import TOLERATED_SECONDS
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.evaluation.label_folder import LabelFolder
from trainers.evaluation.label_formats import FoundFormat, found_format
from trainers.evaluation.phase_names import PhaseNames
from trainers.stage import InputError

Labels = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """Ground truth of a set of videos.

    Attributes:
        folder: where it was read.
        tracks: the labels of every video.
        ends_early: whether a video may go on after its annotation, by video: what follows has no label then.
        rows_per_second: the rate that counted rows were read at; None where all rows tell their time.
    """

    folder: LabelFolder
    tracks: Mapping[str, LabelTrack]
    ends_early: Mapping[str, bool]
    rows_per_second: float | None


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predicted phases of a set of videos, a row each 1/fps seconds.

    Attributes:
        folder: where they were read.
        fps: rate of the rows.
        labels: phase of every row, by video; -1 where a row has none.
    """

    folder: LabelFolder
    fps: float
    labels: Mapping[str, Labels]

    def rows_in(self, seconds: float) -> int:
        """The number of rows k, 0 and on, with k/fps before the end."""
        return math.ceil(round(seconds * self.fps, 3))

    def surplus(self, video: str, seconds: float) -> int:
        """By how many rows a video is predicted longer than it is annotated; 0 for a second or a row at the most."""
        difference = len(self.labels[video]) - self.rows_in(seconds)
        return 0 if abs(difference) <= max(1, int(TOLERATED_SECONDS * self.fps)) else difference

    def length_of(self, video: str) -> str:
        """The length of a video's predictions, as errors say it."""
        count = len(self.labels[video])
        return f"{self.folder.files[video]} has {count} predictions, {count / self.fps:g} s at --fps {self.fps:g}"


def read_predictions(folder: LabelFolder, videos: Iterable[str], names: PhaseNames, fps: float) -> Predictions:
    """Reads the predictions of some videos.

    Raises:
        InputError: a file is malformed, leaves out rows, or tells another rate than `fps`.
    """
    labels = {video: _predicted(folder.files[video], names, fps) for video in videos}
    return Predictions(folder=folder, fps=exact_rate(fps), labels=labels)


def _predicted(path: Path, names: PhaseNames, fps: float) -> Labels:
    found = found_format(path, "predictions", names)
    if found.rate is not None and not np.isclose(found.rate, fps, rtol=0.01):
        raise InputError(f"{path} has {found.rate:g} rows per second, but --fps is {fps:g}: give that of the rows.")
    layout = replace(found.at(fps), holes=False)
    track = read_labels(path, names.names, layout)
    return track.at(np.arange(round(track.seconds * fps)) / exact_rate(fps)) if found.is_of_intervals else track.labels


def read_annotations(
    folder: LabelFolder,
    predictions: Predictions,
    names: PhaseNames,
    *,
    layouts: Mapping[str, AnnotationFormat] | None = None,
    rows_per_second: float | None = None,
) -> Annotations:
    """Reads the annotations of all predicted videos.

    Args:
        folder: of the annotations.
        predictions: of these videos; they tell the rate of rows, where nothing else does.
        names: the phases.
        layouts: the formats of files, by video; found from their rows where not given.
        rows_per_second: the rate of their rows; where not given, 25 as in Cholec80, or that of the predictions,
            whichever fits all videos.

    Raises:
        InputError: a file is malformed, or no rate fits the length of the predictions.
    """
    paths = {video: folder.files[video] for video in predictions.labels}
    given = {video: layout for video, layout in (layouts or {}).items() if video in paths}
    found = {v: found_format(path, "annotations", names) for v, path in paths.items() if v not in given}
    rate = (rows_per_second or _fitting_rate(found, predictions)) if any(map(_is_counted, found.values())) else None
    formats = {video: each.at(rate or predictions.fps) for video, each in found.items()} | given
    ends_early = {video: each.is_of_intervals for video, each in found.items()}
    ends_early |= {video: layout.may_end_early for video, layout in given.items()}
    tracks = {
        video: read_labels(path, names.names, formats[video], video_fps=rows_per_second)
        for video, path in paths.items()
    }
    return Annotations(folder=folder, tracks=tracks, ends_early=ends_early, rows_per_second=rate)


def _is_counted(found: FoundFormat) -> bool:
    """Whether the time of a row is its number over a rate that the file does not tell."""
    return found.rate is None and not found.is_of_intervals


def _fitting_rate(found: Mapping[str, FoundFormat], predictions: Predictions) -> float:
    """The rate of annotated rows under which all videos are as long as their predictions."""
    rates = tuple(dict.fromkeys((float(NOMINAL_FPS), predictions.fps)))
    counted = {video: each for video, each in found.items() if _is_counted(each)}

    def fit(video: str, rate: float) -> bool:
        return predictions.surplus(video, counted[video].num_rows / rate) == 0

    fitting = next((rate for rate in rates if all(fit(video, rate) for video in counted)), None)
    if fitting is not None:
        return fitting
    video = next((video for video in counted if not any(fit(video, rate) for rate in rates)), next(iter(counted)))
    num_rows = counted[video].num_rows
    lengths = " or ".join(f"{num_rows / rate:g} s at {rate:g} rows per second" for rate in rates)
    raise InputError(
        f"{counted[video].path} has {num_rows} annotated rows, {lengths}, but {predictions.length_of(video)}: make "
        "sure that both are of the same video, or give --annotation-fps."
    )


def put_together(predictions: Predictions, annotations: Annotations) -> tuple[list[VideoPredictions], list[str]]:
    """Each video's predictions beside the phase that is valid at the time of their row; and notes.

    Raises:
        InputError: the lengths of a video differ by more than a second and a row, no row of it is annotated, or an
            annotated one has no prediction.
    """
    videos: list[VideoPredictions] = []
    notes: list[str] = []
    for video, predicted in predictions.labels.items():
        track, path = annotations.tracks[video], annotations.folder.files[video]
        surplus, ends_early = predictions.surplus(video, track.seconds), annotations.ends_early[video]
        if surplus < 0 or (surplus > 0 and not ends_early):
            raise InputError(
                f"{path} annotates {track.seconds:g} s, {predictions.rows_in(track.seconds)} rows at that rate, but "
                f"{predictions.length_of(video)}: make sure that both are of the same video."
            )
        num_rows = len(predicted) if ends_early else min(len(predicted), predictions.rows_in(track.seconds))
        beside = _beside(video, track.at(np.arange(num_rows) / predictions.fps), predicted[:num_rows])
        _check_labels(beside, predictions.folder.files[video], path)
        videos.append(beside)
        notes += _notes(beside, len(predicted), predictions.rows_in(track.seconds))
    return videos, notes


def _beside(video: str, truth: Labels, predicted: Labels) -> VideoPredictions:
    frames = np.arange(len(truth), dtype=np.int32)
    return VideoPredictions(video=video, frames=frames, truth=truth, prediction=predicted)


def _check_labels(video: VideoPredictions, predictions: Path, annotation: Path) -> None:
    known = video.truth != UNLABELLED
    if not known.any():
        raise InputError(f"{annotation} labels no row of {video.video}: leave its predictions out, or annotate it.")
    missing = np.flatnonzero(known & (video.prediction == UNLABELLED))
    if len(missing):
        raise InputError(
            f"{predictions} has no phase in row {missing[0] + 1} below the header, one of {len(missing)} such rows "
            "that are annotated: predict every row."
        )


def _notes(video: VideoPredictions, num_predicted: int, num_annotated: int) -> Iterator[str]:
    if len(video.truth) < max(num_predicted, num_annotated):
        yield (
            f"{video.video}: {num_predicted} predictions but {num_annotated} annotated rows, both cut to "
            f"{len(video.truth)}."
        )
    unlabelled = int(np.count_nonzero(video.truth == UNLABELLED))
    if unlabelled:
        yield f"{video.video}: {unlabelled} of {len(video.truth)} rows have no label and do not count."
