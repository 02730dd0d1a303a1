"""One run of Ray Train, and the function of its workers; beside `torch_backend`, the only `import ray.train`."""

import os
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.runtime import distributed, worker_channel
from trainers.runtime.files import replacing
from trainers.stage import FreelunchError, Resources, Work, ignore_report

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer

Compute = Callable[[Work], None]

ENVIRONMENT = {
    # Half the time to start.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # Workers are requested only where there is room; while it waits for them, Ray Train reacts to nothing.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "15",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}
"""Ray Train's settings. It reads them here, in the calling process, and hands them on to its controller and workers."""


class NoRoomError(Exception):
    """The workers could not be placed: others took the room first."""


def run_ray_train(compute: Compute, work: Work, scratch: Path) -> str | None:
    """One run of Ray Train; returns why it failed, if it did."""
    import ray
    from ray import train
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    from trainers.runtime.torch_backend import OwnTorchConfig

    resources = work.resources
    trainer = _trainer_without_data_sets()(
        train_worker,
        train_loop_config={"compute": compute, "work": _sent(work), "scratch": scratch, "umask": _umask()},
        scaling_config=train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=bool(resources.gpus),
            resources_per_worker=ray_resources(resources),
        ),
        torch_config=OwnTorchConfig(backend="nccl" if resources.gpus else "gloo"),
        run_config=train.RunConfig(
            name="ray",
            storage_path=str(scratch),
            failure_config=train.FailureConfig(
                max_failures=0,  # `launch` distinguishes a lost worker from an error
                max_preemption_failures=0,  # type: ignore[call-arg]  # not in the signature that mypy sees
                controller_failure_limit=0,
            ),
        ),
    )
    try:
        with _cluster_address():
            trainer.fit()
    except (train.TrainingFailedError, ray.exceptions.RayError) as error:
        if isinstance(error, train.ControllerError) and isinstance(
            error.controller_failure, WorkerGroupStartupTimeoutError
        ):
            raise NoRoomError from error
        return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    return None


def _trainer_without_data_sets() -> "type[TorchTrainer]":
    """Ray Train's trainer, without the process that hands out Ray's own data sets, and its imports in every worker."""
    from ray.train.torch import TorchTrainer

    class Trainer(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()  # type: ignore[misc]  # mypy sees an earlier class
            return [callback for callback in callbacks if type(callback).__name__ != "DatasetsCallback"]

    return Trainer


def raise_failure(scratch: Path) -> None:
    """Raises the exception that a worker left in its attempt's folder, if one did."""
    for path in sorted(scratch.glob("failure-*.pickle")):
        error: Exception = pickle.loads(path.read_bytes())
        raise error


def ray_resources(resources: Resources) -> dict[str, float]:
    """Ray resources of every worker."""
    return {"CPU": resources.threads} | ({"GPU": resources.gpus} if resources.gpus else {})


@contextmanager
def _cluster_address() -> Iterator[None]:
    """Sets the cluster's address for Ray Train's processes.

    Otherwise the process that removes the placement group of a killed run asks the latest cluster of this host, and
    takes the run for dead if that is another one.
    """
    import ray
    from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE

    ENV_VARS_TO_PROPAGATE.add("RAY_ADDRESS")
    before = os.environ.get("RAY_ADDRESS")
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    try:
        yield
    finally:
        if before is None:
            del os.environ["RAY_ADDRESS"]
        else:
            os.environ["RAY_ADDRESS"] = before


def _sent(work: Work) -> Work:
    """The work for a worker: with paths that are valid in any working directory."""
    inputs = {name: folder.resolve() for name, folder in work.inputs.items()}
    return replace(work, output=work.output.resolve(), inputs=inputs, listener=ignore_report)


def _umask() -> int:
    """The rights that files of this process do not get."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def train_worker(config: dict[str, Any]) -> None:
    """The function of every Ray Train worker. Errors travel in a file: Ray's own hide the exception that was raised.

    What it writes has the rights of what its caller writes, whose home several users may share; a running cluster has
    given it another umask.
    """
    os.umask(config["umask"])
    scratch: Path = config["scratch"]
    work: Work = config["work"]
    rank = distributed.rank()
    with worker_channel.while_wanted(scratch), worker_channel.output_to(scratch, rank):
        try:
            config["compute"](
                replace(work, listener=worker_channel.reporter(scratch, work.resources.gpus))
                if distributed.is_first()
                else work
            )
        except Exception as error:
            traceback.print_exc()
            if not isinstance(error, distributed.WorkerLostError):
                _leave_failure(scratch, rank, error)
            raise


def _leave_failure(scratch: Path, rank: int, error: Exception) -> None:
    told = error if isinstance(error, FreelunchError) else RuntimeError(traceback.format_exc())
    with replacing(scratch / f"failure-{rank}.pickle") as path:
        path.write_bytes(pickle.dumps(told))
