"""Connection to Ray: started here, or a running cluster that is joined; faults are said in a sentence."""

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import ray

from study.execution.executor import is_rays_interrupt
from study.execution.ray.internals import dashboard_url, running_cluster
from study.execution.ray.local_cluster import options_here, short_tmpdir
from study.execution.ray.nodes import amount, living_nodes
from trainers.runtime.open_files import raise_limit
from trainers.stage import InputError, MachineError

ANSWER_SECONDS = 8
"""Time limit for the answer of a cluster at its address."""
END_SECONDS = 10
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
ON_THIS_MACHINE, HERE = "auto", "local"
NO_DASHBOARD = "; it has no dashboard, so what killed runs had reserved may stay taken: start its head with one"


@contextmanager
def connect(address: str | None = None) -> Iterator[str]:
    """Connects this process to Ray for the length of the block.

    Args:
        address: `host:port` of a cluster to join, or `auto` for the one that runs on this machine. Without one, and
            without RAY_ADDRESS, Ray is started here; at the end it is stopped, and none of its processes is left.

    Yields:
        What was started or joined, in a few words: its size, and where its dashboard is.

    Raises:
        MachineError: no cluster answers there, it runs another version, or Ray cannot be started.
    """
    address = address or os.environ.get("RAY_ADDRESS") or HERE
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    before = set(psutil.Process().children())
    try:
        with _signal_handlers_kept():
            if address == HERE:
                _start()
            else:
                _join(address)
        yield _described(address)
    except SystemExit as error:
        if is_rays_interrupt(error):  # while Ray starts, it takes SIGTERM
            raise KeyboardInterrupt from None
        raise
    finally:
        started = [child for parent in set(psutil.Process().children()) - before for child in _family(parent)]
        with _signal_handlers_kept():
            ray.shutdown()
        _end(started if address == HERE else [])


def _described(address: str) -> str:
    nodes = living_nodes()
    size = amount(sum(node.cpus for node in nodes), sum(node.gpus for node in nodes))
    place = "Ray, started here" if address == HERE else f"the Ray cluster at {address}"
    dashboard = dashboard_url()
    shown = f"; dashboard: http://{dashboard}" if dashboard else NO_DASHBOARD
    return f"{place}, with {size}" + (f" on {len(nodes)} nodes" if nodes[1:] else "") + shown


def _start() -> None:
    raise_limit()  # what is started here inherits it
    options = options_here()
    try:
        with short_tmpdir(Path(options["_temp_dir"])):
            ray.init(
                address=HERE,
                include_dashboard=True,  # without it, Ray Train's placement groups outlive a run that was killed
                dashboard_host="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **options,
            )
    except Exception as error:
        raise MachineError(f"Ray cannot be started here ({_first_line(error)}): --local runs without it.") from error


def _join(address: str) -> None:
    _check_answers(address := _resolved(address))
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise MachineError(_not_joined(address, error)) from error


def _resolved(address: str) -> str:
    """Address of the cluster that runs on this machine, or any other address as it is."""
    if address != ON_THIS_MACHINE:
        return address
    found = running_cluster()
    if found is None:
        raise MachineError("no Ray cluster runs on this machine: leave the address out to start one.")
    return found


def _check_answers(address: str) -> None:
    """Makes sure that something answers: Ray itself waits for minutes, and then ends the process."""
    if not re.fullmatch(r"[^\s:/]+:\d+", address):
        raise InputError(
            f"the Ray address {address!r} is neither host:port nor {ON_THIS_MACHINE}: "
            "give that of the head node, whose port is 6379 unless another was chosen."
        )
    if os.environ.get("RAY_USE_TLS") == "1":
        return
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS)
        except grpc.FutureTimeoutError:
            raise MachineError(
                f"no Ray cluster answers at {address}: check host and port, and that it runs, "
                "or leave the address out to start Ray here."
            ) from None


def _not_joined(address: str, error: Exception) -> str:
    versions = re.findall(r"(Ray|Python): (\S+)", str(error))
    if len(versions) == 4:
        theirs, ours = (" and ".join(" ".join(version) for version in part) for part in (versions[:2], versions[2:]))
        return f"the Ray cluster at {address} runs {theirs}, but here it is {ours}: install the same on both sides."
    if any("AuthenticationError" in f"{each!r}{each}" for each in _chain(error)):  # or in a traceback that it quotes
        return (
            f"the Ray cluster at {address} refuses this user's token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
            "~/.ray/auth_token to what its nodes were started with."
        )
    return f"the Ray cluster at {address} cannot be joined ({_first_line(error)}): check it with `ray status`."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Ray takes over SIGTERM, which the command line has given a meaning."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end(processes: Sequence[psutil.Process]) -> None:
    """Waits until processes have ended, and kills those that do not."""
    _, alive = psutil.wait_procs(processes, timeout=END_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=END_SECONDS)
