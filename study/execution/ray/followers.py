"""Followers: the processes in which Ray Tune waits for the trials of a study, and the queue that feeds them."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from study.core.store import Store
from study.core.study import Trial
from study.execution.ray.messages import StageOutcome
from study.execution.ray.options import Score, no_scores
from study.home.sharing import share_with_group
from trainers.stage import FreelunchError

WAIT_SECONDS = 2.0
"""Time that a process waits for a trial's last stage before it looks at the curve again."""
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
"""Another process follows trials where none of those that are followed has ended for so long."""
FOLLOWED = "freelunch"
"""The name in a Tune trial's config of the keys that it follows."""
OUTCOME = "outcome"
"""The name in a trial's last result of the StageOutcome of its last stage."""


@dataclass(frozen=True, kw_only=True)
class FollowedTrial:
    """A trial that Tune follows.

    Attributes:
        trial: its row, seed and parameters are the Tune trial's config.
        final: key of its last stage.
        curves: keys of the stages whose epochs are reported, by the prefix of their metrics; each after its inputs.
    """

    trial: Trial
    final: str
    curves: Mapping[str, str]

    def config(self) -> dict[str, Any]:
        """The config of the Tune trial; values that are no plain ones are given as text."""
        parameters = {
            name: value if isinstance(value, int | float | str | None) else str(value)
            for name, value in self.trial.parameters.items()
        }
        followed = {"final": self.final, "curves": dict(self.curves)}
        return {"row": self.trial.row.name, "seed": self.trial.seed, **parameters, FOLLOWED: followed}


class TrialFollower(tune.Trainable):
    """Process that follows one trial after the other: it waits for the last stage, and reports the curve until then.

    Every step is one report: an epoch, or at last what became of the trial. A stage that failed fails no Tune trial.
    """

    def setup(
        self, config: dict[str, Any], broker: Any = None, store: Store | None = None, score: Score = no_scores
    ) -> None:
        if store is not None:
            share_with_group(store.home)
        self._broker, self._store, self._score = broker, store, score
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._final: str = new_config[FOLLOWED]["final"]
        self._curves: dict[str, str] = new_config[FOLLOWED]["curves"]
        self._last_epochs = dict.fromkeys(self._curves, 0)
        self._epochs: deque[dict[str, float]] = deque()
        self._outcome: StageOutcome | None = None
        return True

    def step(self) -> dict[str, Any]:
        while not self._epochs and self._outcome is None:
            self._look()
        if self._epochs:
            return self._epochs.popleft()
        return {**self._end(), "done": True}

    def _look(self) -> None:
        """Waits a while for the last stage, and takes the epochs that have ended."""
        outcome = ray.get(self._broker.wait.remote(self._final, WAIT_SECONDS))
        for prefix, stage_key in self._curves.items():
            epochs = ray.get(self._broker.curve.remote(stage_key, self._last_epochs[prefix]))
            for number, metrics in sorted(epochs.items()):
                named = {prefix + name: value for name, value in metrics.items() if name != "epoch"}
                self._epochs.append({**named, "epoch": number})
                self._last_epochs[prefix] = number
        if outcome is not None and outcome.status == "unknown":
            time.sleep(RETRY_SECONDS)  # the broker was restarted, and the driver has not submitted the stage again yet
        else:
            self._outcome = outcome

    def _end(self) -> dict[str, Any]:
        assert self._outcome is not None
        failure = self._outcome.failure
        problem = {"problem": failure.sentence} if failure else {}
        return {**self._scores(), "status": self._outcome.status, **problem, OUTCOME: self._outcome}

    def _scores(self) -> Mapping[str, float]:
        """The final scores; none where they cannot be read, which is said where they are needed."""
        assert self._store is not None
        folder = self._store.find(self._final)
        try:
            return self._score(folder) if folder else {}
        except (FreelunchError, OSError, ValueError, KeyError):
            return {}


class TrialQueue(Searcher):
    """Queue from which Tune takes the trials in their order, and the number of processes that follow them.

    Tune starts a process where more trials are followed at a time than before. So there is one at first, and one more
    only where no trial has ended for a while: trials that take a moment share a process.
    """

    def __init__(self, trials: Sequence[FollowedTrial], max_processes: int) -> None:
        super().__init__()
        self._configs = deque(followed.config() for followed in trials)
        self._max_processes = max_processes
        self._num_processes = 1
        self._followed: set[str] = set()
        self._changed = time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if not self._configs:
            return Searcher.FINISHED
        now = time.monotonic()
        if len(self._followed) >= self._num_processes:
            if self._num_processes == self._max_processes or now < self._changed + PATIENCE_SECONDS:
                return None
            self._num_processes += 1
            self._changed = now
        self._followed.add(trial_id)
        return self._configs.popleft()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._followed.discard(trial_id)
        self._changed = time.monotonic()

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).touch()  # the home folder is what lasts

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a study goes on from its home folder, never from Tune's state")
