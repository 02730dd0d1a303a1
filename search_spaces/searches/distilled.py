"""Named searches: their axes, and an objective that is computed from validation videos alone."""

from collections.abc import Mapping
from pathlib import Path

from search_spaces.protocol.conditions import Conditions
from search_spaces.recipes import distilled
from search_spaces.studies.table3 import table3
from study import Choice
from study.core.graph import walk
from study.search.domains import LogUniform, OrNone, PowerOfTwo, When
from study.search.space import Objective, PruningSignal, Search
from trainers.artifacts.history import read_history
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Stage

ACCURACY, PROBE = "validation_accuracy", "knn_accuracy"


def batch_size(conditions: object, settings: Mapping[str, object]) -> int:
    """Frames per step, the unit of queues."""
    return _number("batch_size", conditions, settings)


def quarter_of_teacher_epochs(conditions: object, settings: Mapping[str, object]) -> int:
    """A quarter of the epochs that the scale gives a teacher."""
    return max(_number("teacher_epochs", conditions, settings) // 4, 1)


def temporal_model(evaluate: Stage) -> TrainTemporal:
    """The last stage before an evaluation that has no test video among its inputs, at any depth.

    Raises:
        InputError: there are no validation videos, a test video is among its inputs, or the epoch that is kept is not
            the best on validation videos.
    """
    assert isinstance(evaluate, Evaluate), "recipes of searches end in an evaluation"
    assert isinstance(evaluate.predictions, PredictPhases), "recipes of searches predict with a temporal model"
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


def best_accuracy(folder: Path) -> float:
    """Accuracy of a temporal model on the validation videos, in percent, at the epoch whose weights were kept.

    Raises:
        InputError: it was never measured.
    """
    curve = read_history(folder).get(ACCURACY)
    if not curve:
        raise InputError("the temporal model has no accuracy on validation videos: ingest their annotations.")
    return max(curve.values())


def student(model: Stage) -> PruningSignal | None:
    """The student of a trial, if it is probed during training."""
    trained = [stage for stage in walk(model).values() if isinstance(stage, Pretrain) and stage.probe is not None]
    return PruningSignal(stage=trained[-1], epochs=trained[-1].optimisation.epochs) if trained else None


ON_VALIDATION = Objective(
    title="accuracy on validation videos, %",
    last_stage=temporal_model,
    value=best_accuracy,
    pruning_signal=student,
    metric=PROBE,
)
"""Accuracy of phase recognition; while the student trains, that of the kNN probe."""


def usual_point(conditions: object, settings: Mapping[str, object]) -> Mapping[str, object]:
    """The values of the preset and the scale, with the teacher that the paper proposes."""
    assert isinstance(conditions, Conditions)
    preset, scale = conditions.preset, conditions.scale
    return {
        "distillation_weight": preset.distillation_weight,
        "temperature": preset.temperature,
        "queue_size": scale.queue_size,
        "momentum": scale.momentum,
        "teacher_trains": "head",
        "teacher_epochs": scale.teacher_epochs,
    }


search_distilled = Search(
    name="distilled",
    title="Which settings of distilled self-supervision are best?",
    question=(
        "The paper fixes λ = 5, τ = 0.07, K = 2048 and m = 0.999, and varies the teacher alone. "
        "Are they best together, and does the best teacher depend on them?"
    ),
    recipe=distilled,
    axes={
        "distillation_weight": LogUniform(0.1, 50),
        "temperature": LogUniform(0.02, 0.5),
        "teacher_temperature": OrNone(LogUniform(0.02, 0.5)),
        "queue_size": PowerOfTwo(1, 64, batch_size),
        "momentum": Choice((0.9, 0.97, 0.99, 0.996, 0.999, 0.9997)),
        "teacher_trains": Choice(("none", "head", "backbone", "all")),
        "teacher_epochs": When(
            "teacher_trains", ("head", "backbone", "all"), PowerOfTwo(1, 4, quarter_of_teacher_epochs)
        ),
    },
    objective=ON_VALIDATION,
    evaluated_in=table3.name,
    initial_point=usual_point,
)
"""λ, τ, K, m and the teacher of Ding et al., MICCAI 2022, together.

The key encoder averages over 1/(1-m) steps: the values of m are spaced evenly, on a log scale, from 10 to 3333 steps.
"""

SEARCHES = {search.name: search for search in (search_distilled,)}


def _number(name: str, conditions: object, settings: Mapping[str, object]) -> int:
    assert isinstance(conditions, Conditions)
    value = settings.get(name)
    if value is None:
        value = getattr(conditions.scale, name)
    assert isinstance(value, int)
    return value
