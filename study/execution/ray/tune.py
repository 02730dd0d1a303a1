"""Ray Tune at work: one Tune trial per trial of a study, with its parameters, curve, final scores, and callbacks."""

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from study.core.store import Store
from study.execution.events import error_line
from study.execution.ray.followers import FollowedTrial, TrialFollower, TrialQueue
from study.execution.ray.options import TuneOptions
from study.home.scratch import own_folder
from trainers.stage import InputError

MAX_FAILURES = 3
"""Number of deaths that the process that follows a trial may have."""
END_SECONDS = 20.0
END_SECONDS_PER_TRIAL = 0.5
SLOT = {"node:__internal_head__": 0.01}
"""Resource that a follower holds: nothing that a stage could want. Ray declares it on every head node."""
QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # nobody restores Tune's own state: the same command finds what is finished
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}
STOP = "stop"
_log = logging.getLogger(__name__)


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
    config = tune.TuneConfig(num_samples=-1, search_alg=TrialQueue(trials, max_processes))  # -1: until there are none
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
    callbacks = [_DeathNotes(), *callbacks_named(options.callbacks)]
    os.environ.update(QUIET)
    with own_folder(home / "ray", home / "locks" / "ray") as folder, _without_tracebacks():
        follower = tune.with_parameters(TrialFollower, broker=broker, store=Store(home), score=options.score)
        thread = TuneThread(_tuner(follower, folder, config, callbacks).fit)
        thread.start()
        try:
            yield thread
        finally:
            (folder / STOP).touch()
            thread.join(END_SECONDS)


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Keeps Tune from printing the traceback of every death: `_DeathNotes` says it in a sentence."""
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class _DeathNotes(tune.Callback):
    """Notes on processes that followed a trial and died."""

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        _log.warning(f"the process that followed trial {_name(trial)} died: another follows it.")

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        _log.warning(f"the process that followed trial {_name(trial)} died {MAX_FAILURES + 1} times: no other does.")


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
