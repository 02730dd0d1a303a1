"""Search in this process, one trial after the other, without Ray."""

from collections.abc import Mapping

from study.core.graph import key
from study.core.store import Store
from study.execution.events import Observer, Observers, StageStopped
from study.execution.executor import Grant
from study.execution.local import run
from study.search.loop import SearchLoop
from study.search.observer import RunningTrial
from trainers.stage import Stage


class _PruningObserver(Observer):
    """Stops the trial where its curve says so, or where the curve cannot be stored."""

    def __init__(self, loop: SearchLoop, running: RunningTrial) -> None:
        self._loop, self._running = loop, running

    def on_epoch(self, stage: Stage, number: int, metrics: Mapping[str, float]) -> None:
        try:
            is_stopped = self._loop.on_report(self._running, stage, metrics, number)
        except Exception as error:  # not a failure of the stage: Optuna's storage is unreachable, say
            raise StageStopped from error
        if is_stopped:
            raise StageStopped


def search_locally(loop: SearchLoop, store: Store, grant: Grant, observer: Observer) -> None:
    """Computes the trials of a search one after the other in this process, without Ray.

    Raises:
        DiskFullError: the disk is full; the trial stays unfinished.
    """
    while (running := loop.begin()) is not None:
        try:
            outcome = run(running.plan, store, grant, Observers(observer, _PruningObserver(loop, running)))
        except StageStopped as stopped:
            if error := stopped.__cause__:
                raise error from error.__cause__
            continue
        failure = outcome.root_failure(key(running.trial.stage))
        if failure is None:
            loop.finish(running)
        else:
            loop.fail(running, failure)
