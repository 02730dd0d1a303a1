"""Set-up of PyTorch's process group in the workers of Ray Train, at the addresses that Ray knows the nodes by."""

import os
from dataclasses import dataclass
from typing import Any

import psutil
from ray.train.torch import TorchConfig

GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"
LOOPBACK = "lo"


@dataclass
class OwnTorchConfig(TorchConfig):
    """Torch config whose workers are reached at their node's address in Ray.

    Gloo's own choice is the address of the host's name, which is a loopback address on many machines (127.0.1.1 on
    Debian), so that workers on different nodes never find each other.
    """

    @property
    def backend_cls(self) -> type:
        """The class that sets a process group up."""
        return _OwnTorchBackend


class _OwnTorchBackend(TorchConfig().backend_cls):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: OwnTorchConfig) -> None:
        worker_group.execute(choose_interface)
        super().on_start(worker_group, backend_config)


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
