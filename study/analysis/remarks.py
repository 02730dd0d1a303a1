"""Remarks of stages on their own metrics, such as a loss that never left chance, finished or not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from study.core.graph import walk
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


def remark_texts(users: Iterable[tuple[str, Stage]], store: Store, *, most_named: int | None = None) -> list[str]:
    """The remarks of the stages of trials, each with the trials that need the stage.

    Args:
        users: name and last stage of every trial.
        store: the store of their artifacts.
        most_named: where more trials than this need a stage, their number stands for their names.
    """
    names: dict[str, list[str]] = {}
    stages: dict[str, Stage] = {}
    for name, last in users:
        for stage_key, stage in walk(last).items():
            stages[stage_key] = stage
            names.setdefault(stage_key, []).append(name)

    def named(stage_key: str) -> str:
        found = names[stage_key]
        return "; ".join(found) if most_named is None or len(found) <= most_named else f"{len(found)} trials"

    found = stage_remarks(stages, store)
    return [f"{each.title} {each.key[:8]} ({named(each.key)}): {each.sentence}" for each in found]


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
