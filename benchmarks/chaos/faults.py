"""Faults: each looks for a victim that is there now, and strikes it; some are healed after a while."""

import random
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from benchmarks.chaos.cluster import RayCluster
from benchmarks.chaos.disk import SmallDisk
from benchmarks.chaos.mlflow_server import MlflowServer
from benchmarks.chaos.processes import FAMILIES, described, kill, victims
from benchmarks.chaos.workload import Command

MEGABYTE = 2**20


@dataclass(kw_only=True)
class World:
    """World that faults happen to.

    Attributes:
        mark: by which its processes are known.
        random: makes every choice.
        disk: on which the home lies.
        commands: those that may run now.
        cluster: the Ray cluster; None where every command starts a Ray of its own.
        server: MLflow's server; None where the home has a database.
    """

    mark: str
    random: random.Random
    disk: SmallDisk
    commands: list[Command]
    cluster: RayCluster | None = None
    server: MlflowServer | None = None


@dataclass(frozen=True, kw_only=True)
class Strike:
    """A fault that has happened.

    Attributes:
        what: it was, for the log.
        heal: ends it, `after_seconds`.
    """

    what: str
    heal: Callable[[], None] | None = None
    after_seconds: float = 0.0


Fault = Callable[[World], Strike | None]
"""Strikes, or returns None where nothing is there to be struck."""


def driver(world: World) -> Strike | None:
    """A command is killed."""
    running = [(command, process) for command in world.commands if (process := command.process) is not None]
    if not running:
        return None
    command, process = world.random.choice(running)
    kill(process)
    return Strike(what=f"{command.name}, {described(process)}")


def _family(kind: str) -> Fault:
    def strike(world: World) -> Strike | None:
        found = victims(world.mark, kind)
        if not found:
            return None
        victim = world.random.choice(found)
        what = described(victim)
        kill(victim)
        return Strike(what=what)

    return strike


def raylet(world: World) -> Strike | None:
    """A node's raylet is killed; its operator starts the node again after some seconds."""
    return _program(world, "raylet", world.cluster.network.nodes if world.cluster else [])


def gcs(world: World) -> Strike | None:
    """The head's control store is killed, and with it the cluster; its operator starts the cluster again."""
    return _program(world, "gcs", [world.cluster.head] if world.cluster else [])


def _program(world: World, kind: str, nodes: list[str]) -> Strike | None:
    node = world.random.choice(nodes) if nodes else ""
    found = world.cluster.of_node(node, kind) if world.cluster else victims(world.mark, kind)
    if not found:
        return None
    if world.cluster:
        world.cluster.hold(node, world.random.uniform(2, 8))
    victim = world.random.choice(found)
    what = described(victim).partition(" --")[0] + (f" on {node}" if node else "")
    kill(victim)
    return Strike(what=what)


def dashboard(world: World) -> Strike | None:
    """The dashboard is killed; on a cluster its operator starts it again after some seconds."""
    found = victims(world.mark, "dashboard")
    if not found:
        return None
    victim = world.random.choice(found)
    command, environment = victim.cmdline(), victim.environ()
    kill(victim)
    what = f"process {victim.pid}"
    if world.cluster is None:
        return Strike(what=what)
    cluster = world.cluster
    return Strike(what=what, heal=lambda: _start(cluster, victim, command, environment), after_seconds=5)


def _start(cluster: RayCluster, killed: psutil.Process, command: list[str], environment: Mapping[str, str]) -> None:
    if cluster.of_node(cluster.head, "gcs") and not cluster.of_node(cluster.head, "dashboard"):
        whole = [*cluster.network.command(cluster.head), *command]
        subprocess.Popen(
            whole, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )


def mlflow(world: World) -> Strike | None:
    """MLflow's server is killed, and comes back at its address."""
    if world.server is None:
        return None
    world.server.kill()
    return Strike(what=world.server.uri, heal=world.server.start, after_seconds=world.random.uniform(1, 20))


def network(world: World) -> Strike | None:
    """A node is cut off: for so short a time that Ray does not notice, or for longer than it waits for a node."""
    if world.cluster is None:
        return None
    cables, node = world.cluster.network, world.random.choice(world.cluster.network.nodes)
    seconds = world.random.choice([3.0, 10.0, 45.0])
    world.cluster.hold(node, seconds + 5)
    cables.cut(node)
    return Strike(what=f"{node} is cut off for {seconds:g} s", heal=lambda: cables.join(node), after_seconds=seconds)


def disk(world: World) -> Strike | None:
    """The disk of the home is full for a while."""
    if not world.disk.can_be_filled:
        return None
    seconds = world.random.uniform(3, 12)
    filled = world.disk.fill()
    what = f"{filled / MEGABYTE:.0f} MB of ballast for {seconds:.0f} s"
    return Strike(what=what, heal=world.disk.free, after_seconds=seconds)


FAULTS: Mapping[str, Fault] = {
    "driver": driver,
    **{kind: _family(kind) for kind in FAMILIES},
    "raylet": raylet,
    "gcs": gcs,
    "dashboard": dashboard,
    "mlflow server": mlflow,
    "network": network,
    "disk full": disk,
}


class Deck:
    """Pile of faults, shuffled: each kind comes before any comes again, as far as there is something to strike."""

    def __init__(self, random: random.Random, kinds: list[str]) -> None:
        self._random, self._kinds = random, kinds
        self._pile: list[str] = []

    def strike(self, world: World) -> tuple[str, Strike] | None:
        """Lets the first fault of the pile happen for which there is a victim; None where there is none for any."""
        if set(self._pile) != set(self._kinds):
            self._pile += self._random.sample(self._kinds, len(self._kinds))
        for kind in dict.fromkeys(self._pile):
            happened = FAULTS[kind](world)
            if happened is not None:
                self._pile.remove(kind)
                return kind, happened
        return None


class Healer:
    """Heals faults when their time has come."""

    def __init__(self) -> None:
        self._timers: list[threading.Timer] = []

    def plan(self, strike: Strike) -> None:
        """Heals a fault later."""
        if strike.heal is not None:
            timer = threading.Timer(strike.after_seconds, strike.heal)
            timer.start()
            self._timers.append(timer)

    def wait(self) -> None:
        """Returns when everything is healed."""
        for timer in self._timers:
            timer.join()
        self._timers.clear()
