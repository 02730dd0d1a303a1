"""Set-up of PyTorch's process group in the workers of Ray Train, at the addresses that Ray knows the nodes by."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from ray.train.torch import TorchConfig

GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"
LOOPBACK = "lo"
PLACEMENT_GROUP = "placement-group"


@dataclass
class OwnTorchConfig(TorchConfig):
    """Torch config whose workers are reached at their node's address in Ray, and whose placement group is known.

    Gloo's own choice is the address of the host's name, which is a loopback address on many machines (127.0.1.1 on
    Debian), so that workers on different nodes never find each other.

    Attributes:
        scratch: the attempt's folder, in which the placement group is noted before anything can fail.
    """

    scratch: Path | None = None

    @property
    def backend_cls(self) -> type:
        """The class that sets a process group up."""
        return _OwnTorchBackend


class _OwnTorchBackend(TorchConfig().backend_cls):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: OwnTorchConfig) -> None:
        if backend_config.scratch is not None:
            worker_group.execute_single(0, note_placement_group, backend_config.scratch)
        worker_group.execute(choose_interface)
        super().on_start(worker_group, backend_config)


def note_placement_group(scratch: Path) -> None:
    """Leaves the placement group of this worker in the attempt's folder."""
    from ray.util import get_current_placement_group

    placed = get_current_placement_group()
    if placed is not None:
        (scratch / PLACEMENT_GROUP).write_bytes(pickle.dumps(placed))


def choose_interface() -> None:
    """Has Gloo use the interface of this node's address in Ray, unless the user has chosen one."""
    import ray

    name = interface_of(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    if name is not None and name != LOOPBACK:
        os.environ.setdefault(GLOO_INTERFACE, name)


def interface_of(address: str) -> str | None:
    """The name of the network interface with this address, or None where this machine has none."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            return name
    return None
