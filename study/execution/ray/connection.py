"""Starts Ray here or joins a running cluster, and says in a sentence what is wrong with it before anything runs."""

import importlib.metadata
import logging
import os
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import ray
from ray._private.services import canonicalize_bootstrap_address
from ray._private.worker import get_dashboard_url
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.execution.executor import Grant, check_granted
from study.home.commands import DISTRIBUTION
from trainers.stage import InputError, MachineError, Resources, Stage

OBJECT_STORE_BYTES = 256 * 2**20
"""What stages make goes through the home folder; Ray's own store holds messages."""
ANSWER_SECONDS = 8
"""How long a cluster may take to answer at its address."""
NODE_SECONDS = 30
"""How long a node may take to answer, which starts a process there."""
ASK_AGAIN_SECONDS = 0.5
END_SECONDS = 10
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
PACKAGE = DISTRIBUTION
PROBED = (PACKAGE, "torch")
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
    finally:
        started = [child for parent in set(psutil.Process().children()) - before for child in _family(parent)]
        with _signal_handlers_kept():
            ray.shutdown()
        _end(started if address == HERE else [])


def largest_node() -> tuple[int, int]:
    """CPUs and GPUs of the node that has most."""
    gpus, cpus = max((node.gpus, node.cpus) for node in _nodes())
    return int(cpus), int(gpus)


def num_cpus() -> int:
    """CPUs of all nodes."""
    return int(sum(node.cpus for node in _nodes()))


def totals() -> tuple[float, float]:
    """CPUs and GPUs of all nodes."""
    nodes = _nodes()
    return sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)


def check_room(stages: Sequence[Stage], grant: Grant) -> None:
    """Makes sure that every stage can be computed with what it is granted, and that the cluster has as much.

    Raises:
        InputError: a stage cannot be computed so.
        MachineError: the cluster has no room for it, even if nothing else runs.
    """
    types: dict[Resources, str] = {}
    for stage in stages:
        check_granted(stage, grant)
        types.setdefault(grant(stage), type(stage).__name__)
    nodes = _nodes()
    for resources, name in types.items():
        room = sum(node.room_for(resources) for node in nodes)
        if room < resources.workers:
            has = ", ".join(f"{node.name} with {_amount(node.cpus, node.gpus)}" for node in nodes)
            raise MachineError(
                f"{name} is granted {resources.workers} workers with {_amount(resources.threads, resources.gpus)} "
                f"each, but this Ray cluster has room for {room} of them ({has}): ask for fewer, or add nodes."
            )


def check_nodes(home: Path) -> None:
    """Makes sure that every node has this package, in this version, and the home folder.

    Raises:
        MachineError: one has not, or does not answer; it names the node and what to do.
    """
    token = home / f"node-check-{uuid.uuid4().hex}"
    token.write_text(token.name)
    try:
        faults = [fault for node, answer in _answers(token) if (fault := node_fault(node, answer, home))]
    finally:
        token.unlink(missing_ok=True)
    if faults:
        others = f" (and {len(faults) - 1} more nodes have faults)" if faults[1:] else ""
        raise MachineError(f"{faults[0]}{others}.")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a node says of itself.

    Attributes:
        sees_home: whether the file that the driver has just written below the home folder is there.
        lacks: why our packages cannot be imported; empty where they can.
        versions: of what numbers depend on.
    """

    sees_home: bool
    lacks: str
    versions: Mapping[str, str]


def node_fault(node: str, answer: Answer | None, home: Path) -> str | None:
    """What is wrong with a node and what to do about it, or None; no answer is a fault too."""
    if answer is None:
        return f"node {node} has not answered within {NODE_SECONDS} seconds: remove it from the cluster, or mend it"
    here = _versions()
    wanted = f"install {PACKAGE} {here[PACKAGE]} there, as it is here"
    if answer.lacks:
        return f"node {node} cannot import {PACKAGE} ({answer.lacks}): {wanted}"
    for name in PROBED:
        if answer.versions[name] != here[name]:
            return f"node {node} has {name} {answer.versions[name]}, but here it is {here[name]}: {wanted}"
    if not answer.sees_home:
        return (
            f"node {node} does not see the home folder {home}: mount it there, "
            "or name one that every node sees with --home"
        )
    return None


@dataclass(frozen=True)
class _Node:
    """A node that is alive."""

    id: str
    name: str
    cpus: float
    gpus: float

    def room_for(self, resources: Resources) -> int:
        """How many workers with these resources it could hold."""
        wanted = ((self.cpus, resources.threads), (self.gpus, resources.gpus))
        return min(int(has / need + 1e-6) for has, need in wanted if need)


def _nodes() -> list[_Node]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [
        _Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            cpus=node["Resources"].get("CPU", 0),
            gpus=node["Resources"].get("GPU", 0),
        )
        for node in nodes
        if node["Alive"]
    ]


def _amount(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")


def _described(address: str) -> str:
    nodes = _nodes()
    size = _amount(sum(node.cpus for node in nodes), sum(node.gpus for node in nodes))
    place = "Ray, started here" if address == HERE else f"the Ray cluster at {address}"
    dashboard = get_dashboard_url()  # type: ignore[no-untyped-call]
    shown = f"; dashboard: http://{dashboard}" if dashboard else NO_DASHBOARD
    return f"{place}, with {size}" + (f" on {len(nodes)} nodes" if nodes[1:] else "") + shown


def _start() -> None:
    try:
        ray.init(
            address=HERE,
            include_dashboard=True,  # without it, Ray Train's placement groups outlive a run that was killed
            dashboard_host="127.0.0.1",
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
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
    """Where the cluster is that runs on this machine, or any other address as it is."""
    if address != ON_THIS_MACHINE:
        return address
    try:
        found = canonicalize_bootstrap_address(address)
    except ConnectionError:
        found = None
    if found is None:
        raise MachineError("no Ray cluster runs on this machine: leave the address out to start one.")
    return found


def _check_answers(address: str) -> None:
    """Makes sure that something answers: Ray itself waits for minutes, and then ends the process."""
    if not re.fullmatch(r"[^\s:/]+:\d+", address):
        raise InputError(
            f"the Ray address {address!r} is neither host:port nor {ON_THIS_MACHINE}: "
            "give that of the head node, whose port is 6379 unless it was started with another."
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
    return f"the Ray cluster at {address} cannot be joined ({_first_line(error)}): check that it is whole."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _answers(token: Path) -> list[tuple[str, Answer | None]]:
    """What every living node says of itself; one that dies meanwhile need not answer."""
    deadline = time.monotonic() + NODE_SECONDS
    answers: dict[str, Answer] = {}
    while True:
        living = {node.id: node.name for node in _nodes()}
        silent = [node_id for node_id in living if node_id not in answers]
        if not silent or time.monotonic() >= deadline:
            return [(name, answers.get(node_id)) for node_id, name in living.items()]
        answers |= _asked(silent, token, deadline - time.monotonic())
        time.sleep(0 if answers.keys() >= living.keys() else ASK_AGAIN_SECONDS)


def _asked(nodes: Sequence[str], token: Path, seconds: float) -> dict[str, Answer]:
    """The answers of the nodes that give one within a time, by node."""
    ask = ray.remote(num_cpus=0, max_retries=0)(_question())
    asked = {
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            str(token), token.name, PROBED
        ): node
        for node in nodes
    }
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
    answers = {}
    for ref in answered:
        with suppress(ray.exceptions.RayError):
            answers[asked[ref]] = Answer(**ray.get(ref))
    return answers


def _question() -> Callable[[str, str, Sequence[str]], dict[str, Any]]:
    """What a node is asked: a function that Ray sends as a whole, since the node may lack our packages."""

    def answer(token: str, content: str, names: Sequence[str]) -> dict[str, Any]:
        import importlib.metadata
        import pathlib

        versions = {}
        for name in names:
            try:
                versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                versions[name] = "missing"
        lacks = ""
        try:
            importlib.import_module("trainers.stage")
            importlib.import_module("study.execution.executor")
        except Exception as error:
            lacks = f"{type(error).__name__}: {error}"
        try:
            sees_home = pathlib.Path(token).read_text() == content
        except OSError:
            sees_home = False
        return {"sees_home": sees_home, "lacks": lacks, "versions": versions}

    return answer


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PROBED}


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
