"""Preflight checks of a cluster: whether every stage finds its resources, and every node our package and the home."""

import importlib.metadata
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.execution.executor import Grant, check_granted
from study.execution.ray.nodes import Node, amount, living_nodes
from study.home.commands import DISTRIBUTION
from study.home.scratch import NODE_CHECK, own_file
from trainers.stage import MachineError, Resources, Stage

NODE_SECONDS = 30
"""Time limit for the answer of a node, which starts a process for it."""
ASK_AGAIN_SECONDS = 0.5
PACKAGE = DISTRIBUTION
PROBED = (PACKAGE, "torch")

_log = logging.getLogger(__name__)


def check_room(stages: Sequence[Stage], grant: Grant) -> None:
    """Checks that every stage can be computed with its resources, and that the cluster has them.

    Raises:
        InputError: a stage cannot be computed so.
        MachineError: the cluster has no room for it, even if nothing else runs.
    """
    types: dict[Resources, str] = {}
    for stage in stages:
        check_granted(stage, grant)
        types.setdefault(grant(stage), type(stage).__name__)
    nodes = living_nodes()
    for resources, name in types.items():
        room = sum(node.num_workers(resources) for node in nodes)
        if room < resources.workers:
            has = ", ".join(f"{node.name} with {amount(node.cpus, node.gpus)}" for node in nodes)
            raise MachineError(
                f"{name} is granted {resources.workers} workers with {amount(resources.threads, resources.gpus)} "
                f"each, but this Ray cluster has room for {room} of them ({has}): ask for fewer, or add nodes."
            )


def check_nodes(home: Path) -> None:
    """Makes sure that every node has this package, in this version, and the home folder; notes what it lends too much.

    Raises:
        MachineError: one has not, or does not answer; it names the node and what to do.
    """
    with own_file(home, NODE_CHECK) as token:
        answers = _answers(token)
    faults = [fault for node, answer in answers if (fault := node_fault(node.name, answer, home))]
    if faults:
        others = f" (and {len(faults) - 1} more nodes have faults)" if faults[1:] else ""
        raise MachineError(f"{faults[0]}{others}.")
    for node, answer in answers:
        note_excess(node, answer)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer of a node to the preflight check.

    Attributes:
        sees_home: whether the file that the driver has just written below the home folder is there.
        lacks: why our packages cannot be imported; empty where they can.
        versions: of what numbers depend on.
        cpus: the cores that its processes may use.
    """

    sees_home: bool
    lacks: str
    versions: Mapping[str, str]
    cpus: float = math.inf


def node_fault(node: str, answer: Answer | None, home: Path) -> str | None:
    """The fault of a node and its remedy, or None; no answer is a fault too."""
    if answer is None:
        return f"node {node} has not answered within {NODE_SECONDS} seconds: remove it from the cluster, or repair it"
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


def note_excess(node: Node, answer: Answer | None) -> None:
    """Notes a node that lends more cores than its processes may use."""
    if answer is not None and node.cpus > answer.cpus:
        _log.warning(
            f"node {node.name} lends {node.cpus:g} CPUs, but its processes may use {answer.cpus:g}: start Ray there "
            "with the options that `freelunch resources` prints."
        )


def _answers(token: Path) -> list[tuple[Node, Answer | None]]:
    """The answers of all living nodes; one that dies meanwhile need not answer."""
    deadline = time.monotonic() + NODE_SECONDS
    answers: dict[str, Answer] = {}
    while True:
        living = {node.id: node for node in living_nodes()}
        silent = [node_id for node_id in living if node_id not in answers]
        if not silent or time.monotonic() >= deadline:
            return [(node, answers.get(node_id)) for node_id, node in living.items()]
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
    """The function that runs on a node; Ray sends its code, since the node may lack our packages."""

    def answer(token: str, content: str, names: Sequence[str]) -> dict[str, Any]:
        import importlib.metadata
        import pathlib

        versions = {}
        for name in names:
            try:
                versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                versions[name] = "missing"
        lacks, cpus = "", float("inf")
        try:
            importlib.import_module("study.execution.executor")
            cpus = importlib.import_module("trainers.runtime.cpus").available_cpus()
        except Exception as error:
            lacks = f"{type(error).__name__}: {error}"
        try:
            sees_home = pathlib.Path(token).read_text() == content
        except OSError:
            sees_home = False
        return {"sees_home": sees_home, "lacks": lacks, "versions": versions, "cpus": cpus}

    return answer


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PROBED}
