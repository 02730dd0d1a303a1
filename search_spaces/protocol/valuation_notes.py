"""Notes of a plan and a report of a search on the videos that its trials are valued on."""

from collections.abc import Iterable

from search_spaces.protocol.conditions import Conditions
from study import Trial
from trainers.recognition.cross_validation import CrossValidate
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.temporal import TrainTemporal


def valuation_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence on what trials are valued on; none for trials of studies, which end in an evaluation."""
    return tuple(dict.fromkeys(sentence for trial in trials for sentence in _sentences(trial)))


def _sentences(trial: Trial) -> tuple[str, ...]:
    last = trial.stage
    if isinstance(last, CrossValidate):
        fold = last.folds[0]
        num_validation = len(fold.validation.videos) if fold.validation else 0
        return (
            f"Trials are valued over {len(last.folds)} folds of {last.num_videos} labelled videos ({num_validation} of "
            "them for validation), each by a temporal model that learnt from no label of its fold; pre-training sees "
            "the frames of the others, never their labels, whatever the settings.",
        )
    if isinstance(last, TrainTemporal) and last.validation is not None:
        number = len(last.validation.videos)
        return (f"Trials are valued on the validation videos alone ({number} of them): {_reason(last)}.",)
    return ()


def _reason(model: TrainTemporal) -> str:
    if model.labelled:
        return "they learn from no more labels than label_fraction asks for"
    if not isinstance(model.training, EncoderFeatures):
        return "features of a fine-tuned backbone depend on labels, so that folds cannot share them"
    return "that is the objective of this search"
