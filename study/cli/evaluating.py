"""Evaluation of folders of predictions: read, scored by the metrics of the stages, and compared."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.analysis.scored_folder import ScoredFolder, compare_folders
from study.console.evaluation_tables import Evaluated
from trainers.artifacts.evaluation import PROTOCOLS
from trainers.artifacts.predictions import VideoPredictions
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.annotations.format import Kind, Unit
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.evaluation.label_folder import LabelFolder, label_folder
from trainers.evaluation.label_pairs import Annotations, Predictions, put_together, read_annotations, read_predictions
from trainers.evaluation.metrics import RELAXED_SECONDS, AbsentPhase
from trainers.evaluation.panel import Panel, per_phase_rows, per_video_rows, summary_entry
from trainers.evaluation.phase_names import PhaseNames, phase_names
from trainers.stage import InputError

OFFICIAL = "relaxed_official"
LAST_PHASES = 4
"""Number of the last phases, to which the relaxed protocols apply rules of their own."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """Request for an evaluation.

    Attributes:
        predictions: folder of predictions, a file per video.
        annotations: folder of annotations.
        phases: name of a data set, or path of a file with the names of phases.
        fps: rate of the rows of predictions.
        protocols: the protocols to score by.
        against: another folder of predictions.
        relaxed_fps: rate that the relaxed window assumes, where it is not `fps`.
        absent: how a phase that a video's ground truth lacks counts in the strict metrics.
        annotation_format: kind of the annotation files; found from their rows where not given.
        annotation_fps: rate of the rows of annotations; found from their number where not given.
    """

    predictions: Path
    annotations: Path
    phases: str
    fps: float
    protocols: tuple[str, ...] = PROTOCOLS
    against: Path | None = None
    relaxed_fps: float | None = None
    absent: AbsentPhase = "undefined_if_absent"
    annotation_format: Kind | None = None
    annotation_fps: float | None = None

    @property
    def window_fps(self) -> float:
        """The rate that the relaxed window of 10 s assumes."""
        return self.fps if self.relaxed_fps is None else self.relaxed_fps


def evaluate_folders(request: EvaluationRequest) -> Evaluated:
    """Reads, scores and compares.

    Raises:
        InputError: a folder or a file is not what it should be; its sentence says where.
    """
    names = phase_names(request.phases)
    annotated = label_folder(request.annotations, "annotations", names.annotations)
    predicted, notes = _read(request.predictions, annotated, names, request.fps)
    truth = _annotations(request, annotated, predicted, names, request.annotation_fps)
    scored, more = _scored(request, predicted, truth, names)
    notes += [*more, *_protocol_notes(request, names, scored)]
    if request.against is None:
        return _evaluated(request, names, truth, notes, scored)
    other, their_notes = _read(request.against, annotated, names, request.fps)
    if not predicted.labels.keys() & other.labels.keys():
        raise InputError(
            f"{request.predictions} and {request.against} have no video in common: compare the same videos."
        )
    if not other.labels.keys() <= truth.tracks.keys():
        truth = _annotations(request, annotated, other, names, truth.rows_per_second or request.annotation_fps)
    theirs, more = _scored(request, other, truth, names)
    return _evaluated(request, names, truth, [*notes, *their_notes, *more], scored, theirs)


def _evaluated(
    request: EvaluationRequest,
    names: PhaseNames,
    truth: Annotations,
    notes: Sequence[str],
    scored: ScoredFolder,
    against: ScoredFolder | None = None,
) -> Evaluated:
    comparisons = {} if against is None else compare_folders(scored, against)
    remarks = (remark for each in comparisons.values() for comparison in each.values() for remark in comparison.remarks)
    settings: dict[str, object] = {
        "predictions": str(request.predictions),
        "annotations": str(request.annotations),
        "phases": list(names.names),
        "fps": request.fps,
        "annotation_fps": truth.rows_per_second,
        "relaxed_fps": request.window_fps,
        "absent": request.absent,
    }
    return Evaluated(
        scored=scored,
        against=against,
        comparisons=comparisons,
        settings=settings,
        notes=tuple(dict.fromkeys((*notes, *remarks))),
    )


def _read(path: Path, annotated: LabelFolder, names: PhaseNames, fps: float) -> tuple[Predictions, list[str]]:
    """The predictions of a folder that have an annotation, and notes that name the files without a partner."""
    folder = label_folder(path, "predictions")
    pairs = sorted(folder.files.keys() & annotated.files.keys())
    if not pairs:
        raise InputError(
            f"no file of {path} is of the same video as one of {annotated.path}: {_named(folder.files)} there, "
            f"{_named(annotated.files)} here. Name files by their video, such as video01.txt or video01-phase.txt."
        )
    notes = [
        f"Without an annotation in {annotated.path}, and left out: {_named(folder.files.keys() - set(pairs))}.",
        f"Annotated, but without predictions in {path}: {_named(annotated.files.keys() - set(pairs))}.",
    ]
    sides = (folder.files, annotated.files)
    kept = [note for note, files in zip(notes, sides, strict=True) if files.keys() - set(pairs)]
    return read_predictions(folder, pairs, names, fps), kept


def _named(videos: Iterable[str]) -> str:
    return ", ".join(sorted(videos))


def _annotations(
    request: EvaluationRequest,
    folder: LabelFolder,
    predictions: Predictions,
    names: PhaseNames,
    rows_per_second: float | None,
) -> Annotations:
    if request.annotation_format is not None:
        layouts = dict.fromkeys(folder.files, _layout(request.annotation_format, request.annotation_fps))
    elif names.layout is not None and (names.layout.rate or rows_per_second):
        layouts = dict.fromkeys(folder.described, names.layout)
    else:  # nothing is described, or a row per frame of videos that are not here: the rate is found
        layouts = {}
    return read_annotations(folder, predictions, names, layouts=layouts, rows_per_second=rows_per_second)


def _layout(kind: Kind, rows_per_second: float | None) -> AnnotationFormat:
    """The format of a kind; intervals are in seconds, or in frames where their rate is given."""
    usual = 1.0 if kind == "second-rows" else float(NOMINAL_FPS)
    unit: Unit = "seconds" if kind == "intervals" and rows_per_second is None else "frames"
    return AnnotationFormat(kind=kind, rate=rows_per_second or usual, unit=unit)


def _scored(
    request: EvaluationRequest, predictions: Predictions, truth: Annotations, names: PhaseNames
) -> tuple[ScoredFolder, list[str]]:
    """The scores of a folder, with the notes on its videos.

    The official script is MATLAB's, where the standard deviation of a single value is 0.
    """
    videos, notes = put_together(predictions, truth)
    std_of_one = {name: 0.0 if name == OFFICIAL else math.nan for name in request.protocols}
    protocols = {name: _panel(request, names, std).scored_by(name, videos) for name, std in std_of_one.items()}
    scored = ScoredFolder(
        folder=str(predictions.folder.path),
        num_videos=len(videos),
        num_frames=sum(map(_num_labelled, videos)),
        seconds=sum(len(video.truth) for video in videos) / predictions.fps,
        summary={n: {metric: summary_entry(each) for metric, each in p.summary.items()} for n, p in protocols.items()},
        per_video=tuple(per_video_rows(protocols)),
        per_phase=tuple(per_phase_rows(protocols, names.names)),
        std_of_one={name: None if math.isnan(std) else std for name, std in std_of_one.items()},
    )
    return scored, notes


def _panel(request: EvaluationRequest, names: PhaseNames, std_of_one: float) -> Panel:
    return Panel(
        num_phases=len(names.names), relaxed_fps=request.window_fps, absent=request.absent, std_of_one=std_of_one
    )


def _num_labelled(video: VideoPredictions) -> int:
    return int(np.count_nonzero(video.truth >= 0))


def _protocol_notes(request: EvaluationRequest, names: PhaseNames, scored: ScoredFolder) -> list[str]:
    """Sentences on what the relaxed protocols mean here."""
    if not any(name != "strict" for name in request.protocols):
        return []
    notes = []
    if request.window_fps != request.fps:
        seconds = RELAXED_SECONDS * request.window_fps / request.fps
        notes.append(
            f"The relaxed window is {seconds:g} s: {RELAXED_SECONDS} s at {request.window_fps:g} rows per second."
        )
    if len(names.names) <= LAST_PHASES:
        notes.append(
            f"With {len(names.names)} phases all are among the last four, so the relaxed protocols forgive a phase "
            f"that is up to two ahead in the last {RELAXED_SECONDS} s of any of them."
        )
    shown = {row["phase"] for row in scored.per_phase if row["metric"] == "recall" and row["value"] is not None}
    missing = [name for name in names.names if name not in shown]
    if missing:
        notes.append(
            f"No annotation has {', '.join(missing)}: relaxed recall and Jaccard over all phases are undefined, as in "
            "the authors' script; those of the videos and of the other phases are not."
        )
    return notes
