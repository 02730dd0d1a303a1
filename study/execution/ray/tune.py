"""Ray Tune: one Tune trial per trial of a study, with its parameters, its curve, its final scores, and callbacks."""

import importlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from study.core.store import Store
from study.core.study import Trial
from study.execution.events import error_line
from study.execution.ray.messages import StageOutcome
from study.execution.ray.options import Score, TuneOptions, no_scores
from trainers.stage import FreelunchError, InputError

WAIT_SECONDS = 2.0
"""How long a process waits for a trial's last stage before it looks at the curve again."""
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
"""Another process follows trials where none of those that are followed has ended for so long."""
MAX_FAILURES = 3
"""How often the process that follows a trial may die."""
END_SECONDS = 20.0
END_SECONDS_PER_TRIAL = 0.5
SLOT = {"node:__internal_head__": 0.01}
"""What a follower holds: no processor, nor anything else that a stage could want. Ray declares it on every head."""
QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # nobody restores Tune's own state: the same command finds what is finished
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}
STOP = "stop"
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
        curve_of: key of the stage whose epochs are reported, or None.
    """

    trial: Trial
    final: str
    curve_of: str | None

    def config(self) -> dict[str, Any]:
        """The config of the Tune trial; values that are no plain ones are given as text."""
        parameters = {
            name: value if isinstance(value, int | float | str | None) else str(value)
            for name, value in self.trial.parameters.items()
        }
        followed = {"final": self.final, "curve_of": self.curve_of}
        return {"row": self.trial.row.name, "seed": self.trial.seed, **parameters, FOLLOWED: followed}


class TuneThread(threading.Thread):
    """Thread in which Tune runs.

    Attributes:
        error: what ended it, if that was an error.
    """

    def __init__(self, fit: Callable[[], object]) -> None:
        super().__init__(name="freelunch-tune", daemon=True)
        self._fit = fit
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._fit()
        except Exception as error:
            self.error = error


def callbacks_named(names: Sequence[str]) -> list[tune.Callback]:
    """New Tune callbacks, each named MODULE:CLASS; modules in the current folder are found too.

    Raises:
        InputError: one cannot be imported or made, or is no callback of Tune.
    """
    return [_callback(name) for name in names]


@contextmanager
def following(
    trials: Sequence[FollowedTrial], broker: Any, home: Path, options: TuneOptions, max_processes: int
) -> Iterator[None]:
    """Runs Tune in a thread beside the block; after the block, every trial's end is reported before it returns.

    Args:
        trials: what to follow.
        broker: the actor that computes the stages; at the end of the block all of them must be settled.
        home: the home folder; Tune's own files are below it until the end.
        options: callbacks, and how scores are read.
        max_processes: how many processes follow trials, at most.
    """
    config = tune.TuneConfig(num_samples=-1, search_alg=_TrialQueue(trials, max_processes))  # -1: until there are none
    with tuning(broker, home, config, options) as thread:
        yield
        with suppress(ray.exceptions.RayError):
            ray.get(broker.stop.remote())  # nothing is at work; a broker that was restarted now answers for all stages
        thread.join(END_SECONDS + END_SECONDS_PER_TRIAL * len(trials))
    if thread.error is not None:
        print(f"Ray Tune failed ({error_line(thread.error)}); every stage was computed without it")


@contextmanager
def tuning(broker: Any, home: Path, config: tune.TuneConfig, options: TuneOptions) -> Iterator[TuneThread]:
    """Runs Tune in a thread, which the block is given, and ends it with the block.

    Args:
        broker: the actor that computes the stages.
        home: the home folder; Tune's own files are below it until the end.
        config: where trials come from, and what stops them.
        options: callbacks, and how scores are read.

    Raises:
        InputError: a callback cannot be had.
    """
    callbacks = callbacks_named(options.callbacks)
    os.environ.update(QUIET)
    parent = home / "ray"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    follower = tune.with_parameters(TrialFollower, broker=broker, store=Store(home), score=options.score)
    thread = TuneThread(_tuner(follower, folder, config, callbacks).fit)
    thread.start()
    try:
        yield thread
    finally:
        (folder / STOP).touch()
        thread.join(END_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


class TrialFollower(tune.Trainable):
    """Process that follows one trial after the other: it waits for the last stage, and reports the curve until then.

    Every step is one report: an epoch, or at last what became of the trial. A stage that failed fails no Tune trial.
    """

    def setup(
        self, config: dict[str, Any], broker: Any = None, store: Store | None = None, score: Score = no_scores
    ) -> None:
        self._broker, self._store, self._score = broker, store, score
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._final: str = new_config[FOLLOWED]["final"]
        self._curve_of: str | None = new_config[FOLLOWED]["curve_of"]
        self._epochs: deque[tuple[int, Mapping[str, float]]] = deque()
        self._last_epoch = 0
        self._outcome: StageOutcome | None = None
        return True

    def step(self) -> dict[str, Any]:
        while not self._epochs and self._outcome is None:
            self._look()
        if self._epochs:
            self._last_epoch, metrics = self._epochs.popleft()
            return {**metrics, "epoch": self._last_epoch}
        return {**self._end(), "done": True}

    def _look(self) -> None:
        """Waits a while for the last stage, and takes the epochs that have ended."""
        outcome = ray.get(self._broker.wait.remote(self._final, WAIT_SECONDS))
        if self._curve_of:
            self._epochs.extend(sorted(ray.get(self._broker.curve.remote(self._curve_of, self._last_epoch)).items()))
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


class _TrialQueue(Searcher):
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


class _StopFile(tune.Stopper):
    """Ends the experiment when a file is there: Tune copies and pickles its stoppers, so they share no memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._path.exists()


def _tuner(follower: type, folder: Path, config: tune.TuneConfig, callbacks: list[tune.Callback]) -> tune.Tuner:
    return tune.Tuner(
        tune.with_resources(follower, SLOT),
        tune_config=replace(
            config,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder),
            stop=_StopFile(folder / STOP),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=callbacks,
            verbose=0,
        ),
    )


def _name(trial: TuneTrial) -> str:
    return f"{trial.config['row']}-{trial.config['seed']}".replace("/", "_")


def _callback(name: str) -> tune.Callback:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        example = "ray.air.integrations.wandb:WandbLoggerCallback"
        raise InputError(f"--callback {name} is not MODULE:CLASS, such as {example}.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        callback = getattr(importlib.import_module(module), attribute)()
    except Exception as error:
        raise InputError(
            f"--callback {name} cannot be made ({error_line(error)}): name a class that is made without arguments, in "
            "a module that can be imported from this folder."
        ) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(callback, tune.Callback):
        raise InputError(f"--callback {name} is no ray.tune.Callback: derive the class from it.")
    return callback
