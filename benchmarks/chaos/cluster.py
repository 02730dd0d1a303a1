"""Ray cluster on simulated nodes, and the operator who starts again what has died on it."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_hex

import psutil

from benchmarks.chaos.log import ChaosLog
from benchmarks.chaos.network import Network
from benchmarks.chaos.processes import kill, marked, victims

RAY = Path(sys.executable).with_name("ray")
PORT = 6379
CPUS_PER_NODE = 1
OBJECT_STORE_BYTES = 100 * 2**20
PERIOD_SECONDS = 1.0
START_SECONDS = 120


class RayCluster:
    """A head and further nodes, each with one core, in namespaces of their own.

    Args:
        network: the namespaces; the first is the head's, on which the commands run too.
        folder: Ray's session folder, on a short path.
        environment: of all its processes.
        mark: by which its processes are known.
        log: is told what the operator does.
    """

    def __init__(
        self, network: Network, folder: Path, environment: Mapping[str, str], mark: str, log: ChaosLog
    ) -> None:
        self.network, self._folder, self._mark, self._log = network, folder, mark, log
        self.environment = {**environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)}
        self._own_environment = {**self.environment, "TMPDIR": str(folder)}
        self.address = f"{network.address(self.head)}:{PORT}"
        self._held: dict[str, float] = {}
        self._restarts: SimpleQueue[str] = SimpleQueue()
        self._gone = threading.Event()
        self._operator = threading.Thread(target=self._operate, name="operator", daemon=True)

    @property
    def head(self) -> str:
        return self.network.nodes[0]

    def __enter__(self) -> "RayCluster":
        self._folder.mkdir()
        self._start_all()
        self._operator.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._gone.set()
        self._operator.join()
        self._kill_all()
        for node in self.network.nodes:
            _kill(self._processes(node))

    def hold(self, node: str, seconds: float) -> None:
        """Has the operator leave a node alone for a while."""
        self._held[node] = time.monotonic() + seconds

    def of_node(self, node: str, kind: str) -> list[psutil.Process]:
        """A node's processes of a kind."""
        pids = self.network.pids(node)
        return [process for process in victims(self._mark, kind) if process.pid in pids]

    def ask_for_restart(self, reason: str) -> None:
        """Has the operator end Ray on all nodes and start it again."""
        self._restarts.put(reason)

    def _restart(self, reason: str) -> None:
        self._log.note("operator", f"the cluster is started again: {reason}")
        self._kill_all()
        self._start_all()

    def _operate(self) -> None:
        while not self._gone.wait(PERIOD_SECONDS):
            try:
                self._look()
            except subprocess.SubprocessError as error:
                self._log.note("operator", f"Ray did not start: {error}; again")

    def _look(self) -> None:
        with suppress(Empty):
            self._restart(self._restarts.get_nowait())
        if self._is_held(self.head):
            return
        lost = [program for program in ("gcs", "raylet") if not self.of_node(self.head, program)]
        if lost:
            self._restart(f"the head has no {lost[0]}")
            return
        for node in self.network.nodes[1:]:
            if not self._is_held(node) and not self.of_node(node, "raylet"):
                self._log.note("operator", f"{node} is started again")
                self._start_node(node)

    def _is_held(self, node: str) -> bool:
        return time.monotonic() < self._held.get(node, 0)

    def _start_all(self) -> None:
        address = self.network.address(self.head)
        self._ray(
            self.head,
            *("--head", "--port", str(PORT), "--node-ip-address", address, "--temp-dir", str(self._folder)),
            *("--dashboard-host", "127.0.0.1", "--disable-usage-stats"),
        )
        for node in self.network.nodes[1:]:
            self._start_node(node)

    def _start_node(self, node: str) -> None:
        self._kill_on(node)
        self._ray(node, "--address", self.address, "--node-ip-address", self.network.address(node))

    def _ray(self, node: str, *arguments: str) -> None:
        sizes = ("--num-cpus", str(CPUS_PER_NODE), "--object-store-memory", str(OBJECT_STORE_BYTES))
        command = [*self.network.command(node), str(RAY), "start", *arguments, *sizes]
        with (self._folder / "start.log").open("ab") as said:
            subprocess.run(
                command, env=self._own_environment, stdout=said, stderr=said, timeout=START_SECONDS, check=True
            )

    def _kill_all(self) -> None:
        for node in reversed(self.network.nodes):
            self._kill_on(node)

    def _kill_on(self, node: str) -> None:
        """Kills Ray's processes on a node; commands that are connected to it are left to notice."""
        _kill([process for process in self._processes(node) if _is_rays(process)])

    def _processes(self, node: str) -> list[psutil.Process]:
        pids = self.network.pids(node)
        return [process for process in marked(self._mark) if process.pid in pids]


def _is_rays(process: psutil.Process) -> bool:
    """Whether a process is Ray's own; its helpers in Python name it in their arguments alone."""
    with suppress(psutil.Error):
        return "tiny_cli" not in " ".join(process.cmdline())
    return False


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        kill(process)
    psutil.wait_procs(processes, timeout=START_SECONDS)
