"""Predictions of a study's rows on the test videos, and the video that reports show of them."""

from pathlib import Path

from study.analysis.results import Results, TrialResult
from study.core.graph import walk
from study.core.store import Store
from study.core.study import Trial
from trainers.artifacts import predictions
from trainers.artifacts.predictions import VideoPredictions


def read_predictions(trial: Trial, store: Store) -> dict[str, VideoPredictions]:
    """Reads the test predictions of a trial by video; empty where they are not there."""
    folder = predictions_folder(trial, store)
    if folder is None:
        return {}
    found = predictions.read_predictions(store.check(folder.name, only=predictions.FILE_NAME))
    return {video.video: video for video in sorted(found, key=lambda video: video.video)}


def predictions_folder(trial: Trial, store: Store) -> Path | None:
    """The artifact that holds the test predictions of a trial, where it is computed."""
    folders = (store.find(stage_key) for stage_key in reversed(walk(trial.stage)))
    return next((each for each in folders if each is not None and (each / predictions.FILE_NAME).exists()), None)


def read_all_predictions(results: Results, store: Store) -> dict[str, dict[str, VideoPredictions]]:
    """The predictions of every row's first computed seed: row -> video -> predictions."""
    first = {r.row.name: next((t for t in r.trials if t.scores), None) for r in results.rows}
    return {row: _predictions_of(result, store) for row, result in first.items() if result is not None}


def _predictions_of(result: TrialResult, store: Store) -> dict[str, VideoPredictions]:
    """The predictions of a trial, or of all folds of a pool's first drawing."""
    if not result.folds:
        return read_predictions(result.trial, store)
    drawing = min(fold.repeat for fold, each in result.folds.items() if each.scores)
    parts = [each.trial for fold, each in result.folds.items() if fold.repeat == drawing]
    found = {name: video for trial in parts for name, video in read_predictions(trial, store).items()}
    return dict(sorted(found.items()))


def median_video(results: Results) -> str | None:
    """The test video whose strict accuracy is the (lower) median of the reference row, or of the first computed one."""
    result = results.reference or next((r for r in results.rows if r.scored), None)
    if result is None:
        return None
    accuracies = next(iter(result.values("accuracy").values()))
    ordered = sorted((value, video) for video, value in accuracies.items() if value is not None)
    return ordered[(len(ordered) - 1) // 2][1]
