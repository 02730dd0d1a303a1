"""Launch of a training function, here or in several workers of Ray Train; the only `import ray.train`."""

import os
import pickle
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers.runtime import distributed, worker_channel
from trainers.runtime.files import replacing
from trainers.runtime.worker_channel import Relay
from trainers.stage import FreelunchError, MachineError, Resources, Work, ignore_report

Compute = Callable[[Work], None]

SCRATCH = "workers"
PLACEMENT_GROUP = "placement-group"
MAX_RESTARTS = 3
POLL_SECONDS = 0.2
STOP_SECONDS = 60
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


class _NoRoomError(Exception):
    """The workers could not be placed: others took the room first."""


def launch(compute: Compute, work: Work) -> None:
    """Calls `compute(work)`, on every worker that was granted; their collectives are `trainers.runtime.distributed`.

    With several workers, this process must be connected to Ray, all nodes must see the stage's folders, and `compute`
    must be picklable and go on from its checkpoint: when a worker dies, all are started again.

    Raises:
        InputError: raised by `compute` on any worker.
        MachineError: the Ray cluster has no room for the workers, or they died too often.
        RuntimeError: `compute` raised something else on a worker, whose traceback this holds.
    """
    left = work.output / SCRATCH  # by a caller that was killed
    if work.resources.workers == 1:
        shutil.rmtree(left, ignore_errors=True)
        compute(work)
    else:
        _give_back_workers_of(left)
        shutil.rmtree(left, ignore_errors=True)
        _train_until_done(compute, work)


def _train_until_done(compute: Compute, work: Work) -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    losses: list[str] = []
    while len(losses) <= MAX_RESTARTS:
        _await_room(work.resources)
        try:
            lost = _attempt(compute, work)
        except _NoRoomError:
            continue
        if lost is None:
            return
        print(f"a worker was lost, all start again: {lost}")
        losses.append(lost)
    raise MachineError(f"workers were lost {len(losses)} times, at last: {losses[-1]}. Run it again to go on.")


def _give_back_workers_of(folder: Path) -> None:
    """Removes the placement groups of attempts whose caller was killed, where Ray Train has not: it may never do so."""
    from ray.util import placement_group_table, remove_placement_group

    for path in folder.glob(f"*/{PLACEMENT_GROUP}"):
        group = pickle.loads(path.read_bytes())
        if placement_group_table().get(group.id.hex(), {}).get("state", "REMOVED") != "REMOVED":
            remove_placement_group(group)


def _await_room(resources: Resources) -> None:
    """Waits until all workers can be placed. Here Ctrl-C interrupts, and nothing is held."""
    import ray

    _check_room(resources)
    while not all(
        ray.available_resources().get(name, 0) >= resources.workers * need  # type: ignore[no-untyped-call]
        for name, need in _needs(resources).items()
    ):
        time.sleep(POLL_SECONDS)
        _check_room(resources)


def _check_room(resources: Resources) -> None:
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    needs = _needs(resources)
    room = sum(min(int(node.get(name, 0) // need) for name, need in needs.items()) for node in nodes)
    if room < resources.workers:
        each = f"{resources.threads} CPUs" + (f" and {resources.gpus:g} GPUs" if resources.gpus else "")
        raise MachineError(
            f"{resources.workers} workers with {each} each were asked for, but this Ray cluster has room for {room}: "
            "ask for fewer, or add nodes."
        )


def _needs(resources: Resources) -> dict[str, float]:
    """Ray resources of every worker."""
    return {"CPU": resources.threads} | ({"GPU": resources.gpus} if resources.gpus else {})


def _attempt(compute: Compute, work: Work) -> str | None:
    """Trains once and relays the workers' reports and output; returns why another attempt is needed, if one is."""
    with _scratch(work) as scratch:
        relay = Relay(scratch, work.resources.workers, work.listener)
        ended = _in_background(lambda: _run_ray_train(compute, work, scratch))
        try:
            while not ended.done():
                wait([ended], POLL_SECONDS)
                relay.catch_up()
            relay.catch_up()
        finally:
            worker_channel.unwant(scratch)
            wait([ended], STOP_SECONDS)
            relay.print_output(to_its_end=True)
        _raise_failure(scratch)
        return ended.result()


@contextmanager
def _scratch(work: Work) -> Iterator[Path]:
    """A folder for the workers of this attempt alone."""
    parent = work.output.resolve() / SCRATCH
    parent.mkdir()
    try:
        folder = Path(tempfile.mkdtemp(dir=parent))
        worker_channel.want(folder)
        yield folder
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _in_background(function: Callable[[], str | None]) -> "Future[str | None]":
    """Calls it in a thread; in the main thread Ray Train would replace the handler of SIGINT permanently."""
    future: Future[str | None] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name="freelunch-ray-train", daemon=True).start()
    return future


def _run_ray_train(compute: Compute, work: Work, scratch: Path) -> str | None:
    """One run of Ray Train; returns why it failed, if it did."""
    import ray
    from ray import train
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    resources = work.resources
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={"compute": compute, "work": _sent(work), "scratch": scratch},
        scaling_config=train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=bool(resources.gpus),
            resources_per_worker=_needs(resources),
        ),
        torch_config=TorchConfig(backend="nccl" if resources.gpus else "gloo"),
        run_config=train.RunConfig(
            name="ray",
            storage_path=str(scratch),
            failure_config=train.FailureConfig(
                max_failures=0,  # _attempt tells a lost worker from an error
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
            raise _NoRoomError from error
        return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    return None


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


def _train_worker(config: dict[str, Any]) -> None:
    """The function of every Ray Train worker. Errors travel in a file: Ray's own hide the exception that was raised."""
    scratch: Path = config["scratch"]
    work: Work = config["work"]
    if distributed.is_first():
        _note_placement_group(scratch)
    with worker_channel.while_wanted(scratch), worker_channel.output_to(scratch, distributed.rank()):
        try:
            config["compute"](
                replace(work, listener=worker_channel.reporter(scratch)) if distributed.is_first() else work
            )
        except Exception as error:
            traceback.print_exc()
            if not isinstance(error, distributed.WorkerLostError):
                _leave_failure(scratch, error)
            raise


def _note_placement_group(scratch: Path) -> None:
    from ray.util import get_current_placement_group

    placed = get_current_placement_group()
    if placed is not None:
        (scratch / PLACEMENT_GROUP).write_bytes(pickle.dumps(placed))


def _leave_failure(scratch: Path, error: Exception) -> None:
    told = error if isinstance(error, FreelunchError) else RuntimeError(traceback.format_exc())
    with replacing(scratch / f"failure-{distributed.rank()}.pickle") as path:
        path.write_bytes(pickle.dumps(told))


def _raise_failure(scratch: Path) -> None:
    for path in sorted(scratch.glob("failure-*.pickle")):
        error: Exception = pickle.loads(path.read_bytes())
        raise error
