"""Launch of a training function, here or in several workers of Ray Train."""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path

from trainers.runtime import worker_channel
from trainers.runtime.ray_train import (
    ENVIRONMENT,
    Compute,
    NoRoomError,
    raise_failure,
    ray_resources,
    run_ray_train,
)
from trainers.runtime.worker_channel import Relay
from trainers.stage import MachineError, Resources, Work

SCRATCH = "workers"
MAX_RESTARTS = 3
POLL_SECONDS = 0.2
STOP_SECONDS = 60


def launch(compute: Compute, work: Work) -> None:
    """Calls `compute(work)`, on every worker that was granted; their collectives are `trainers.runtime.distributed`.

    With several workers, this process must be connected to Ray, all nodes must see the stage's folders, and `compute`
    must be picklable and go on from its checkpoint: when a worker dies, all are started again.

    Raises:
        InputError: raised by `compute` on any worker.
        MachineError: the Ray cluster has no room for the workers, or they died too often.
        RuntimeError: `compute` raised something else on a worker, whose traceback this holds.
    """
    shutil.rmtree(work.output / SCRATCH, ignore_errors=True)  # by a caller that was killed
    if work.resources.workers == 1:
        compute(work)
    else:
        _train_until_done(compute, work)


def _train_until_done(compute: Compute, work: Work) -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    losses: list[str] = []
    while len(losses) <= MAX_RESTARTS:
        _await_room(work.resources)
        try:
            lost = _attempt(compute, work)
        except NoRoomError:
            continue
        if lost is None:
            return
        print(f"a worker was lost, all start again: {lost}")
        losses.append(lost)
    raise MachineError(f"workers were lost {len(losses)} times, at last: {losses[-1]}. Run it again to go on.")


def _await_room(resources: Resources) -> None:
    """Waits until all workers can be placed. Here Ctrl-C interrupts, and nothing is held."""
    import ray

    from trainers.runtime.placement_groups import remove_abandoned

    remove_abandoned()
    _check_room(resources)
    while not all(
        ray.available_resources().get(name, 0) >= resources.workers * need  # type: ignore[no-untyped-call]
        for name, need in ray_resources(resources).items()
    ):
        time.sleep(POLL_SECONDS)
        remove_abandoned()
        _check_room(resources)


def _check_room(resources: Resources) -> None:
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    needs = ray_resources(resources)
    room = sum(min(int(node.get(name, 0) // need) for name, need in needs.items()) for node in nodes)
    if room < resources.workers:
        each = f"{resources.threads} CPUs" + (f" and {resources.gpus:g} GPUs" if resources.gpus else "")
        raise MachineError(
            f"{resources.workers} workers with {each} each were asked for, but this Ray cluster has room for {room}: "
            "ask for fewer, or add nodes."
        )


def _attempt(compute: Compute, work: Work) -> str | None:
    """Trains once and relays the workers' reports and output; returns why another attempt is needed, if one is."""
    from trainers.runtime.placement_groups import remove_abandoned

    with _scratch(work) as scratch:
        relay = Relay(scratch, work.resources.workers, work.listener)
        ended = _in_background(lambda: run_ray_train(compute, work, scratch))
        try:
            while not ended.done():
                wait([ended], POLL_SECONDS)
                relay.catch_up()
            relay.catch_up()
        finally:
            worker_channel.unwant(scratch)
            wait([ended], STOP_SECONDS)
            relay.print_output(to_its_end=True)
            remove_abandoned()
        raise_failure(scratch)
        return ended.result()


@contextmanager
def _scratch(work: Work) -> Iterator[Path]:
    """A folder for the workers of this attempt alone."""
    parent = work.output.resolve() / SCRATCH
    parent.mkdir()
    try:
        folder = parent / uuid.uuid4().hex  # where another user of the home can remove it, which `tempfile` prevents
        folder.mkdir()
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
