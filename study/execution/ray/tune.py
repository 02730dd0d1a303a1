"""Ray Tune's part: one Tune trial per trial of a study, which waits for its last stage and relays the probe's curve."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from study.execution.events import error_line

WAIT_SECONDS = 2.0
"""How long a trial waits for its last stage before it looks at the probe again."""
RETRY_SECONDS = 0.5
MAX_FAILURES = 3
"""How often a trial's process may die."""
END_SECONDS = 20.0
SLOT = {"node:__internal_head__": 0.01}
"""What a trial holds: no processor, nor anything else that a stage could want. Ray declares it on every head node."""
QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # nobody restores Tune's own state: the same command finds what is finished
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}
STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What a Tune trial follows: the key `final` of its last stage, and `probed` of the one whose curve it tells."""

    final: str
    probed: str | None


class TuneThread(threading.Thread):
    """Tune at work.

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


@contextmanager
def following(trials: Sequence[Followed], broker: Any, home: Path, max_concurrent: int) -> Iterator[None]:
    """Runs Tune in a thread beside the block, and ends it with the block.

    Args:
        trials: what to follow.
        broker: the actor that computes the stages.
        home: the home folder; Tune's own files lie below it until the end.
        max_concurrent: how many trials run at a time.
    """
    space = {"followed": tune.grid_search([asdict(followed) for followed in trials])}
    with tuning(broker, home, tune.TuneConfig(max_concurrent_trials=max_concurrent), space) as thread:
        yield
    if thread.error is not None:
        print(f"Ray Tune failed ({error_line(thread.error)}); every stage was seen to without it")


@contextmanager
def tuning(
    broker: Any, home: Path, config: tune.TuneConfig, space: dict[str, Any] | None = None
) -> Iterator[TuneThread]:
    """Runs Tune in a thread, which the block is given, and ends it with the block.

    Args:
        broker: the actor that computes the stages.
        home: the home folder; Tune's own files lie below it until the end.
        config: how many trials run at a time, and who asks for them and stops them.
        space: what is followed, where nobody asks.
    """
    os.environ.update(QUIET)
    parent = home / "ray"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    tuner = _tuner(broker, folder, config, space or {})
    thread = TuneThread(tuner.fit)
    thread.start()
    try:
        yield thread
    finally:
        (folder / STOP).touch()
        thread.join(END_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def follow(config: dict[str, Any], broker: Any) -> dict[str, Any]:
    """Follows one trial until the broker knows what became of its last stage; it never raises because one failed.

    Returns:
        What became of it, which Tune takes for the trial's last report.
    """
    followed = Followed(**config["followed"])
    epoch = 0
    while True:
        verdict = ray.get(broker.wait.remote(followed.final, WAIT_SECONDS))
        if followed.probed:
            epoch = _relay(broker, followed.probed, epoch)
        if verdict is not None and verdict.status != "unknown":
            return asdict(verdict)
        if verdict is not None:
            time.sleep(RETRY_SECONDS)  # the broker was restarted, and the driver has not told it of the stage yet


def _relay(broker: Any, probed: str, epoch: int) -> int:
    """Reports to Tune the epochs after one, with `epoch` for its time; returns the last one."""
    for number, metrics in sorted(ray.get(broker.curve.remote(probed, epoch)).items()):
        tune.report({**metrics, "epoch": number})
        epoch = number
    return epoch


class _StopFile(tune.Stopper):
    """Ends the experiment when a file is there: Tune copies and pickles its stoppers, so they share no memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._path.exists()


def _tuner(broker: Any, folder: Path, config: tune.TuneConfig, space: dict[str, Any]) -> tune.Tuner:
    trainable = tune.with_resources(tune.with_parameters(follow, broker=broker), SLOT)
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=replace(config, reuse_actors=True, trial_dirname_creator=lambda trial: str(trial.trial_id)),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder),
            stop=_StopFile(folder / STOP),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )
