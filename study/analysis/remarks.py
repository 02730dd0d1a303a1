"""Remarks of stages on their own metrics, such as a loss that never left chance, finished or not."""

from collections.abc import Mapping
from dataclasses import dataclass

from study.core.progress import read_progress
from study.core.store import Store
from trainers.artifacts.history import FILE_NAME as HISTORY
from trainers.artifacts.history import read_history
from trainers.stage import Stage


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Sentence of a stage on its latest metrics."""

    key: str
    title: str
    sentence: str


def stage_remarks(stages: Mapping[str, Stage], store: Store) -> list[Remark]:
    """The remarks of stages, by what the last epoch of a finished one or the latest report of another says.

    Args:
        stages: by key, in the order of the result.
        store: the store of their artifacts.
    """
    return [
        Remark(key=stage_key, title=stage.title, sentence=sentence)
        for stage_key, stage in stages.items()
        if makes_remarks(stage)
        for sentence in stage.remarks(_latest_metrics(stage_key, store))
    ]


def makes_remarks(stage: Stage) -> bool:
    """Whether a stage is of a type that has something to say of its metrics."""
    return type(stage).remarks is not Stage.remarks


def _latest_metrics(stage_key: str, store: Store) -> Mapping[str, float]:
    finished, unfinished = store.find(stage_key), store.unfinished(stage_key)
    if finished is not None:
        folder = store.check(stage_key, only=HISTORY)
        return {metric: curve[max(curve)] for metric, curve in read_history(folder).items()}
    progress = read_progress(unfinished) if unfinished else None
    return progress.metrics if progress else {}
