"""Nodes of a Ray cluster, and the workers that they can hold."""

from dataclasses import dataclass
from typing import Any

import ray

from trainers.stage import Resources

ROUNDING = 1e-6
"""Of sums of fractions of GPUs."""
ACCELERATOR = "accelerator_type:"
"""Beginning of the resource by which Ray says what a node's GPUs are."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive: its Ray id, its name and address, and its CPUs and GPUs in all."""

    cpus: float
    gpus: float = 0
    id: str = ""
    name: str = ""

    def num_workers(self, resources: Resources) -> int:
        """The number of workers with these resources that the node could hold if nothing else ran."""
        wanted = ((self.cpus, resources.threads), (self.gpus, resources.gpus))
        return min(int(has / need + ROUNDING) for has, need in wanted if need)


def living_nodes() -> list[Node]:
    """The nodes that are alive."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [
        Node(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            cpus=node["Resources"].get("CPU", 0),
            gpus=node["Resources"].get("GPU", 0),
        )
        for node in nodes
        if node["Alive"]
    ]


def largest_node() -> tuple[int, int]:
    """CPUs and GPUs of the node that has most."""
    gpus, cpus = max((node.gpus, node.cpus) for node in living_nodes())
    return int(cpus), int(gpus)


def gpu_type() -> str:
    """The name that Ray gives to the GPUs of the node that has most; empty where it gives none."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    resources = max((node["Resources"] for node in nodes if node["Alive"]), key=lambda each: each.get("GPU", 0))
    return next((name.removeprefix(ACCELERATOR) for name in resources if name.startswith(ACCELERATOR)), "")


def host_names() -> frozenset[str]:
    """The names of the hosts of all nodes, as those say them themselves."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return frozenset(node["NodeManagerHostname"] for node in nodes if node["Alive"])


def totals() -> tuple[float, float]:
    """CPUs and GPUs of all nodes."""
    nodes = living_nodes()
    return sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)


def amount(cpus: float, gpus: float) -> str:
    """CPUs and GPUs in words."""
    return f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
