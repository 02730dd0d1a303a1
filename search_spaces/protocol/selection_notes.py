"""Notes of a plan and a report on rows that choose epochs on test videos, under a preset that does not."""

from collections.abc import Iterable

from search_spaces.protocol.conditions import Conditions
from study import Trial
from study.core.graph import walk
from trainers.data.ingest.video import Ingest
from trainers.evaluation.evaluate import Evaluate
from trainers.recognition.finetune import FineTune
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.stage import Stage


def selection_notes(conditions: Conditions, trials: Iterable[Trial]) -> tuple[str, ...]:
    """A sentence with the rows that are selected on test; none under a preset of which that is known already."""
    if conditions.preset.stamp is not None:
        return ()
    rows = list(dict.fromkeys(trial.row.name for trial in trials if _is_selected_on_test(trial.stage)))
    if not rows:
        return ()
    named = f"Row {rows[0]} is" if len(rows) == 1 else f"Rows {', '.join(rows[:-1])} and {rows[-1]} are"
    return (f"{named} selected on test: epochs are chosen on the videos that are tested, which flatters the result.",)


def _is_selected_on_test(last: Stage) -> bool:
    """Whether a model of a trial chooses its epoch on a video whose predictions the trial evaluates."""
    if not isinstance(last, Evaluate) or not isinstance(last.predictions, PredictPhases):
        return False
    tested = {video.video_digest for video in last.predictions.features.videos}
    return any(tested & _chosen_on(stage) for stage in walk(last).values())


def _chosen_on(stage: Stage) -> set[str]:
    """Digests of the videos that a stage chooses an epoch on."""
    if not isinstance(stage, FineTune | TrainTemporal) or stage.selection != "validation" or not stage.validation:
        return set()
    videos = stage.validation.videos if isinstance(stage, TrainTemporal) else stage.validation
    return {video.video_digest for video in videos if isinstance(video, Ingest)}
