"""Objectives of searches: accuracy of phase recognition on labelled videos that are not tested."""

from dataclasses import fields
from pathlib import Path

from study.core.graph import walk
from study.search.objective import Objective, PruningSignal
from trainers.artifacts.history import Curves, read_history
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.cross_validation import CrossValidate, TrainFold, dealt
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

ACCURACY, PROBE = "validation_accuracy", "knn_accuracy"
NUM_FOLDS = 5
PROBES_BEFORE_STOPPING = 2
"""Measurements of a student before it may be stopped: the first one of a short training is mostly chance."""
CHOSEN_HERE = ("selection", "classifier")
"""Fields of a temporal model that its folds have their own values of."""


def temporal_model(evaluate: Stage) -> TrainTemporal:
    """The last stage before an evaluation that has no test video among its inputs, at any depth.

    Raises:
        InputError: the recipe ends otherwise, there are no validation videos, a test video is among its inputs, or the
            epoch that is kept is not the best on validation videos.
    """
    if not isinstance(evaluate, Evaluate):
        raise InputError(
            f"the recipe returns a {type(evaluate).__name__}: its last stage must be an Evaluate, such as "
            "`recognition` of search_spaces.recipes returns."
        )
    if not isinstance(evaluate.predictions, PredictPhases):
        raise InputError(
            f"the recipe predicts by a {type(evaluate.predictions).__name__} and has no temporal model, which this "
            "objective values: give the search an objective of its own."
        )
    model = evaluate.predictions.model
    if model.validation is None:
        raise InputError(
            "a search needs validation videos, and this preset or split has none: leave --preset and split as they are."
        )
    tested = {video.video_digest for video in evaluate.predictions.features.videos}
    if any(isinstance(stage, Ingest) and stage.video_digest in tested for stage in walk(model).values()):
        raise InputError(
            "this preset, or the recipe, trains or chooses models on test videos, which a search never sees: "
            "search with --preset corrected and a recipe of this repository."
        )
    if model.selection != "validation":
        raise InputError(
            f"this preset keeps the {model.selection} epoch of a model, and a search values the one that is best on "
            "validation videos: search with --preset corrected."
        )
    return model


def cross_validation(evaluate: Stage) -> CrossValidate:
    """Cross-validation of the temporal model before an evaluation, over its training and its validation videos.

    Its stages read what that model reads, so that no test video is among its inputs either.

    Raises:
        InputError: as in `temporal_model`, or its features depend on labels, of which each fold would need its own.
    """
    model = temporal_model(evaluate)
    assert model.validation is not None, "it was checked"
    if type(model) is not TrainTemporal or not isinstance(model.training, EncoderFeatures):
        raise InputError(
            f"the features of this trial's {type(model).__name__} depend on labels, or it is trained otherwise than "
            "usual, so that folds cannot share them: search with the objective ON_VALIDATION."
        )
    alike = {each.name: getattr(model, each.name) for each in fields(model) if each.name not in CHOSEN_HERE}
    videos = (*model.videos, *model.validation.videos)
    alike["labelled"] = videos if model.labelled else ()
    return CrossValidate(folds=tuple(TrainFold(**alike, held_out=fold) for fold in dealt(videos, NUM_FOLDS)))


def best_accuracy(folder: Path) -> float:
    """Accuracy of a temporal model on the validation videos, in percent, at the epoch whose weights were kept.

    Raises:
        InputError: it was never measured.
    """
    return max(_accuracies(read_history(folder)).values())


def last_accuracy(folder: Path) -> float:
    """Accuracy of a cross-validation over all held-out videos, in percent, after the last epoch.

    Raises:
        InputError: it was never measured.
    """
    curve = _accuracies(read_history(folder))
    return curve[max(curve)]


def student(last: Stage) -> PruningSignal | None:
    """The student of a trial, if it is probed during training."""
    trained = [stage for stage in walk(last).values() if isinstance(stage, Pretrain) and stage.probe is not None]
    if not trained or trained[-1].probe is None:
        return None
    first_epoch = PROBES_BEFORE_STOPPING * trained[-1].probe.every_epochs
    return PruningSignal(stage=trained[-1], epochs=trained[-1].optimisation.epochs, first_epoch=first_epoch)


ON_FOLDS = Objective(
    title="accuracy over folds of training and validation videos, %",
    last_stage=cross_validation,
    value=last_accuracy,
    pruning_signal=student,
    metric=PROBE,
)
"""Accuracy of phase recognition, the mean over all labelled videos that are not tested, each by a temporal model that
did not see its labels; while the student trains, that of the kNN probe on the validation videos."""

ON_VALIDATION = Objective(
    title="accuracy on validation videos, %",
    last_stage=temporal_model,
    value=best_accuracy,
    pruning_signal=student,
    metric=PROBE,
)
"""Accuracy of phase recognition on the validation videos; while the student trains, that of the kNN probe."""


def _accuracies(curves: Curves) -> dict[int, float]:
    curve = curves.get(ACCURACY)
    if not curve:
        raise InputError("the temporal model has no accuracy on validation videos: ingest their annotations.")
    return dict(curve)
