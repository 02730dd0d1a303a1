"""Runs a training function here, or in several workers that Ray Train starts: the only `import ray.train`."""

import json
import os
import pickle
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers import distributed
from trainers.stage import InputError, MachineError, Resources, Work, discard_report

Compute = Callable[[Work], None]

SCRATCH = "workers"
MAX_RESTARTS = 3
POLL_SECONDS = 0.2
STOP_SECONDS = 60
ENVIRONMENT = {  # halves the time to start; Ray Train hands them on to its own processes
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "3600",  # other stages may have to end before there is room
}


class _StoppedError(Exception):
    """The caller no longer waits for this run."""


def launch(compute: Compute, work: Work) -> None:
    """Calls `compute(work)`, on every worker that was granted; the workers' collectives are `trainers.distributed`.

    With several workers, this process must be connected to Ray, all nodes must see the stage's folders, and `compute`
    must be picklable and go on from its checkpoint: when a worker dies, all are started anew.

    Raises:
        InputError: raised by `compute` on any worker.
        MachineError: the Ray cluster has no room for the workers, or they died too often.
        RuntimeError: `compute` raised something else on a worker, whose traceback this holds.
    """
    shutil.rmtree(work.output / SCRATCH, ignore_errors=True)  # of a caller that was killed
    if work.resources.workers == 1:
        compute(work)
    else:
        _check_room(work.resources)
        _train_until_done(compute, work)


def _train_until_done(compute: Compute, work: Work) -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for _ in range(1 + MAX_RESTARTS):
        scratch = work.output.resolve() / SCRATCH
        scratch.mkdir()
        try:
            lost = _attempt(compute, work, Path(tempfile.mkdtemp(dir=scratch)))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if lost is None:
            return
        print(f"a worker was lost, all start anew: {lost}")
    raise MachineError(f"workers were lost {1 + MAX_RESTARTS} times, at last: {lost}. Run it again to go on.")


def _check_room(resources: Resources) -> None:
    import ray

    needs = {"CPU": resources.threads, "GPU": resources.gpus}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    room = sum(min(int(node.get(name, 0) // need) for name, need in needs.items() if need) for node in nodes)
    if room < resources.workers:
        each = f"{resources.threads} CPUs" + (f" and {resources.gpus:g} GPUs" if resources.gpus else "")
        raise MachineError(
            f"{resources.workers} workers with {each} each were asked for, but this Ray cluster has room for {room}: "
            "ask for fewer, or add nodes."
        )


def _attempt(compute: Compute, work: Work, scratch: Path) -> str | None:
    """Trains once, relaying what the first worker reports; returns why it must be tried again, if it must."""
    relay = _Relay(scratch / "progress.jsonl", work.report)
    ended = _in_background(lambda: _fit(compute, work, scratch))
    try:
        while not ended.done():
            wait([ended], POLL_SECONDS)
            relay.catch_up()
    except BaseException:
        (scratch / "stop").touch()
        wait([ended], STOP_SECONDS)
        raise
    _raise_failure(scratch)
    return ended.result()


def _in_background(function: Callable[[], str | None]) -> "Future[str | None]":
    """Calls it off the main thread, where Ray Train would take over SIGINT for good."""
    future: Future[str | None] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name="freelunch-ray-train", daemon=True).start()
    return future


def _fit(compute: Compute, work: Work, scratch: Path) -> str | None:
    """One run of Ray Train; returns why it failed, if it did."""
    import ray
    from ray import train
    from ray.train.torch import TorchTrainer

    resources = work.resources
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={"compute": compute, "work": _sent(work), "scratch": scratch},
        scaling_config=train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=bool(resources.gpus),
            resources_per_worker={"CPU": resources.threads} | ({"GPU": resources.gpus} if resources.gpus else {}),
        ),
        run_config=train.RunConfig(
            name="ray",
            storage_path=str(scratch),
            failure_config=train.FailureConfig(
                max_failures=0,  # _attempt tells a lost worker from an error
                max_preemption_failures=0,  # type: ignore[call-arg]  # not in the signature that mypy sees
                controller_failure_limit=3,
            ),
        ),
    )
    try:
        trainer.fit()
    except (train.TrainingFailedError, ray.exceptions.RayError) as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    return None


def _sent(work: Work) -> Work:
    """The work as a worker gets it: with paths that hold in any working directory."""
    inputs = {name: folder.resolve() for name, folder in work.inputs.items()}
    return replace(work, output=work.output.resolve(), inputs=inputs, report=discard_report)


def _train_worker(config: dict[str, Any]) -> None:
    """What Ray Train runs on every worker. Errors travel by a file: Ray's own hide what was raised."""
    scratch: Path = config["scratch"]
    work: Work = config["work"]
    try:
        config["compute"](replace(work, report=_reporter(scratch)) if distributed.is_first() else work)
    except (distributed.WorkerLostError, _StoppedError):
        raise
    except Exception as error:
        told = error if isinstance(error, InputError) else RuntimeError(traceback.format_exc())
        part = scratch / f"failure-{distributed.rank()}.part"
        part.write_bytes(pickle.dumps(told))
        part.rename(part.with_suffix(".pickle"))
        raise


def _raise_failure(scratch: Path) -> None:
    for path in sorted(scratch.glob("failure-*.pickle")):
        error: Exception = pickle.loads(path.read_bytes())
        raise error


def _reporter(scratch: Path) -> Callable[[Mapping[str, float], int], None]:
    """Writes reports where `_Relay` reads them; raises when the caller has gone."""

    def report(metrics: Mapping[str, float], epoch: int) -> None:
        if (scratch / "stop").exists():
            raise _StoppedError
        with (scratch / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps([dict(metrics), epoch]) + "\n")

    return report


class _Relay:
    """Reads what the first worker reports, line by line."""

    def __init__(self, path: Path, report: Callable[[Mapping[str, float], int], None]) -> None:
        self._path = path
        self._report = report
        self._position = 0

    def catch_up(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            metrics, epoch = json.loads(line)
            self._report(metrics, epoch)
