"""One round of a chaos run: the whole workload in a fresh home, disturbed or not, and what became of it."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.chaos import checks
from benchmarks.chaos.cluster import RayCluster
from benchmarks.chaos.disk import SmallDisk
from benchmarks.chaos.faults import Deck, Healer, World
from benchmarks.chaos.log import ChaosLog
from benchmarks.chaos.mlflow_server import MlflowServer
from benchmarks.chaos.network import Network
from benchmarks.chaos.observed import Observed, observe
from benchmarks.chaos.processes import FAMILIES, MARKER, end_all
from benchmarks.chaos.workload import PROFILE, Command, Place, commands
from study.tracking.uri import default_uri

REPOSITORY = Path(__file__).parents[2]
NUM_NODES = 3
DISK_MEGABYTES = 200
POLL_SECONDS = 0.2
STALLED_SECONDS = 300
MAX_SECONDS = 2400
OURS, ALL = tuple(FAMILIES), ()
"""Of a cluster that goes on, only what commands have started there has to end."""

Mode = Literal["cluster", "own"]
"""On a cluster of simulated nodes with MLflow's server, or a Ray of each command's own with the home's database."""


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Faults that are left for a chaos run.

    Attributes:
        deck: of faults.
        gap: seconds until the next.
        wanted: whether there is to be another.
        random: makes every choice.
    """

    deck: Deck
    gap: Callable[[], float]
    wanted: Callable[[], bool]
    random: random.Random


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a round: what was observed at its end, all problems, and what libraries printed and left."""

    observed: Observed | None
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    seconds: float


class Round:
    """A round.

    Args:
        mode: where its commands run.
        folder: of its own, on a short path.
        videos: of the ingest runs.
        log: is told of everything.
    """

    def __init__(self, mode: Mode, folder: Path, videos: Path, log: ChaosLog) -> None:
        self._mode, self._folder, self._videos, self._log = mode, folder, videos, log
        self._mark = f"{os.getpid()}-{folder.name}"
        self._healer = Healer()

    def run(self, disturbance: Disturbance | None) -> Result:
        """Runs the workload to its end."""
        self._folder.mkdir()
        begun = time.monotonic()
        problems: list[str] = []
        observed = None
        with ExitStack() as stack:
            world, place = self._set_up(stack, disturbance.random if disturbance else random.Random(0))
            publications = stack.enter_context(checks.Publications(place.home))
            groups = commands(place, self._log)
            everything = [command for group in groups for command in group]
            try:
                for group in groups:
                    self._run_group(group, world, publications, disturbance)
                problems += self._settle(everything, world, place)
                uri = world.server.uri if world.server else default_uri(place.home)
                observed = observe(place.home, uri)
                problems += checks.left_in_home(place.home, uri, observed.num_stopped)
                problems += checks.processes_left(self._mark, OURS if self._mode == "cluster" else ALL)
            except TimeoutError as error:
                problems.append(str(error))
            finally:
                self._healer.wait()
                for command in everything:
                    command.stop()
            problems += publications.problems
        problems += [f"{each} is left at the end" for each in end_all(self._mark)]
        return Result(
            observed=observed,
            problems=tuple(problems),
            remarks=(*checks.tracebacks(everything), *checks.left_in_temporary(self._folder / "t")),
            seconds=time.monotonic() - begun,
        )

    def _set_up(self, stack: ExitStack, choices: random.Random) -> tuple[World, Place]:
        disk = stack.enter_context(SmallDisk(self._folder / "d", DISK_MEGABYTES))
        profile = self._folder / "profile.toml"
        profile.write_text(PROFILE)
        temporary = self._folder / "t"
        temporary.mkdir()
        environment = self._environment(temporary)
        options, prefix, cluster, server = ("--profile", str(profile)), (), None, None
        if self._mode == "cluster":
            cables = stack.enter_context(Network(NUM_NODES))
            cluster = RayCluster(cables, self._folder / "r", environment, self._mark, self._log)
            stack.enter_context(cluster)
            server = stack.enter_context(MlflowServer(self._folder / "m", cables.host, self._mark))
            environment = {**cluster.environment, "MLFLOW_TRACKING_URI": server.uri}
            options, prefix = (*options, "--address", cluster.address), tuple(cables.command(cluster.head))
        world = World(mark=self._mark, random=choices, disk=disk, commands=[], cluster=cluster, server=server)
        home = disk.folder / "home"
        return world, Place(
            home=home, videos=self._videos, options=options, prefix=prefix, environment=environment, folder=self._folder
        )

    def _environment(self, temporary: Path) -> Mapping[str, str]:
        ours = {
            MARKER: self._mark,
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(temporary),
            "COLUMNS": "160",
            "PYTHONWARNINGS": "ignore",
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW", "FREELUNCH"))
        }
        return kept | ours

    def _run_group(
        self,
        group: list[Command],
        world: World,
        publications: checks.Publications,
        disturbance: Disturbance | None,
    ) -> None:
        """Runs commands side by side until all are done, and lets faults happen meanwhile."""
        world.commands[:] = group
        for command in group:
            command.start()
        due = time.monotonic() + (disturbance.gap() if disturbance else 0)
        stalled = _Stalled(publications)
        begun = time.monotonic()
        while not all(command.is_done for command in group):
            if disturbance and disturbance.wanted() and time.monotonic() >= due:
                self._strike(disturbance, world)
                due = time.monotonic() + disturbance.gap()
            self._help(stalled, group, world)
            if time.monotonic() > begun + MAX_SECONDS:
                raise TimeoutError(f"the commands were not done after {MAX_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def _strike(self, disturbance: Disturbance, world: World) -> None:
        happened = disturbance.deck.strike(world)
        if happened is not None:
            kind, strike = happened
            self._log.note("fault", f"{kind}: {strike.what}", fault=kind, mode=self._mode)
            self._healer.plan(strike)

    def _help(self, stalled: "_Stalled", group: list[Command], world: World) -> None:
        """Does what a user does where nothing moves any more: ends the commands, and types them again."""
        if not stalled.is_so():
            return
        self._log.note("problem", f"no stage was finished for {STALLED_SECONDS} s: the commands are killed")
        for command in group:
            if (process := command.process) is not None:
                process.kill()
        if world.cluster is not None:
            world.cluster.ask_for_restart("nothing moves")

    def _settle(self, everything: list[Command], world: World, place: Place) -> Iterator[str]:
        """Heals everything, and types every command once more: nothing is left to do then."""
        self._healer.wait()
        for command in everything:
            code = command.again()
            if code != 0:
                yield f"{command.name}, typed once more at the end, ended with {code}"


class _Stalled:
    """Whether nothing was published for long."""

    def __init__(self, publications: checks.Publications) -> None:
        self._publications = publications
        self._number, self._since = -1, time.monotonic()

    def is_so(self) -> bool:
        if self._number != self._publications.number:
            self._number, self._since = self._publications.number, time.monotonic()
        if time.monotonic() < self._since + STALLED_SECONDS:
            return False
        self._since = time.monotonic()
        return True
