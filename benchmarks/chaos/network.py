"""Network of simulated nodes: a network namespace each, joined by a bridge, which a fault can cut."""

import os
import shutil
import subprocess
from collections.abc import Sequence

SUBNET = "10.77.7"
PREFIX = "flchaos"


class Network:
    """Namespaces that see each other and this machine through a bridge.

    Args:
        num_nodes: how many namespaces; the first is that of the head.

    Attributes:
        host: the address of this machine as the nodes see it.
    """

    def __init__(self, num_nodes: int) -> None:
        self.host = f"{SUBNET}.1"
        self.nodes = [f"{PREFIX}{number}" for number in range(2, 2 + num_nodes)]

    def __enter__(self) -> "Network":
        self._remove()  # of a chaos run that was killed
        _ip("link", "add", PREFIX, "type", "bridge")
        _ip("address", "add", f"{self.host}/24", "dev", PREFIX)
        _ip("link", "set", PREFIX, "up")
        for node in self.nodes:
            _ip("netns", "add", node)
            _ip("link", "add", f"{node}v", "type", "veth", "peer", "name", "eth0", "netns", node)
            _ip("link", "set", f"{node}v", "master", PREFIX, "up")
            _ip("-n", node, "address", "add", f"{self.address(node)}/24", "dev", "eth0")
            _ip("-n", node, "link", "set", "eth0", "up")
            _ip("-n", node, "link", "set", "lo", "up")
        return self

    def __exit__(self, *exception: object) -> None:
        self._remove()

    def address(self, node: str) -> str:
        """The address of a node."""
        return f"{SUBNET}.{node.removeprefix(PREFIX)}"

    def command(self, node: str) -> list[str]:
        """The beginning of a command that runs on a node."""
        return ["ip", "netns", "exec", node]

    def pids(self, node: str) -> set[int]:
        """The processes on a node."""
        said = subprocess.run(["ip", "netns", "pids", node], capture_output=True, text=True, check=True).stdout
        return {int(pid) for pid in said.split()}

    def cut(self, node: str) -> None:
        """Cuts a node off from all others and from this machine."""
        _ip("link", "set", f"{node}v", "down")

    def join(self, node: str) -> None:
        """Joins a node that was cut off."""
        _ip("link", "set", f"{node}v", "up")

    def _remove(self) -> None:
        for node in self.nodes:
            subprocess.run(["ip", "netns", "delete", node], capture_output=True, check=False)
            subprocess.run(["ip", "link", "delete", f"{node}v"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", PREFIX], capture_output=True, check=False)


def why_not() -> str | None:
    """Reason why this machine cannot simulate nodes by namespaces, or None where it can."""
    if shutil.which("ip") is None:
        return "there is no program `ip` (Debian's iproute2)"
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    try:
        with Network(1):
            return None
    except subprocess.CalledProcessError as error:
        return f"`{' '.join(error.cmd)}` failed: {error.stderr.strip()}"


def _ip(*arguments: str) -> Sequence[str]:
    command = ["ip", *arguments]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return command
