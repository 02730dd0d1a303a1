"""Commands that a chaos run disturbs: each is typed again until it ends well, as a user does."""

import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chaos.log import ChaosLog
from benchmarks.chaos.processes import is_alive
from tests.study import tiny_cli

SCALE = ("--scale", "tiny")
NUM_TRIALS = 3
ROWS = ("--row", "public", "--row", "none", "--row", "head")
PAUSE_SECONDS = 2.0
TRACEBACK = re.compile(r"^Traceback \(most recent call last\)", re.MULTILINE)
PROFILE = "[default]\nthreads = 1\n[Pretrain]\nworkers = 2\n"


class Command:
    """One command of freelunch, started again whenever it ends with another exit code than 0.

    Args:
        name: for the log.
        arguments: of freelunch.
        prefix: the beginning of the command line, by which it runs on a simulated node.
        environment: of the process.
        said: the file that takes what it prints.
        log: is told of every end.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str],
        said: Path,
        log: ChaosLog,
    ) -> None:
        self.name, self._log, self._environment, self.said = name, log, environment, said
        self._command = [*prefix, sys.executable, str(tiny_cli.__file__), *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = threading.Event()
        self.is_done = False
        self.exit_codes: list[int] = []
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts it, and again until it ends well."""
        self._thread.start()

    def again(self) -> int:
        """Types the command once more, and returns its exit code."""
        with self.said.open("ab") as said:
            return subprocess.run(
                self._command, env=self._environment, stdout=said, stderr=said, check=False
            ).returncode

    def stop(self) -> None:
        """Kills it, and types it no more."""
        self._gone.set()
        if (process := self.process) is not None:
            process.kill()
        self._thread.join()

    @property
    def process(self) -> psutil.Process | None:
        """Its process, while there is one: `ip netns exec` becomes the command itself."""
        running = self._process
        if running is None or running.poll() is not None:
            return None
        process = psutil.Process(running.pid)
        return process if is_alive(process) else None

    @property
    def tracebacks(self) -> int:
        """How many tracebacks it has printed."""
        return len(TRACEBACK.findall(self.said.read_text(errors="replace"))) if self.said.exists() else 0

    def _run(self) -> None:
        while not self._gone.is_set():
            with self.said.open("ab") as said:
                self._process = subprocess.Popen(self._command, env=self._environment, stdout=said, stderr=said)
            code = self._process.wait()
            if self._gone.is_set():
                return
            self.exit_codes.append(code)
            if code == 0:
                self._log.note("ended", f"{self.name} is done")
                self.is_done = True
                return
            self._log.note(
                "restart", f"{self.name} ended with {code}: {self._last_line()}", command=self.name, code=code
            )
            self._gone.wait(PAUSE_SECONDS)

    def _last_line(self) -> str:
        """The sentence with which it ended, or Ray's, which ends a driver whose cluster was replaced by another."""
        lines = self.said.read_text(errors="replace").strip().splitlines()
        said = [
            line for line in lines if line.startswith(("error", "stopped", "interrupted")) or "Check failed" in line
        ]
        return (said or lines or [""])[-1][-200:]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where commands run.

    Attributes:
        home: the home folder.
        videos: the synthetic videos to ingest.
        options: by which `run` and `search` find their cluster.
        prefix: the beginning of every command line.
        environment: of every process.
        folder: takes what the commands print.
    """

    home: Path
    videos: Path
    options: tuple[str, ...]
    prefix: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path

    def command(self, name: str, arguments: Sequence[str], log: ChaosLog) -> Command:
        """A command at this place."""
        return Command(
            name,
            ["--home", str(self.home), *arguments],
            prefix=self.prefix,
            environment=self.environment,
            said=self.folder / f"{name.replace(' ', '-')}.txt",
            log=log,
        )


def commands(place: Place, log: ChaosLog) -> list[list[Command]]:
    """The commands, in groups that run side by side; a group begins when the one before it is done."""
    asked = (*SCALE, "--dataset", "tiny", *place.options)
    ingest = ("ingest", "cholec80", *SCALE, "--threads", "1")
    return [
        [place.command("ingest", (*ingest, str(place.videos / "few"), "--name", "tiny"), log)],
        [
            place.command("study", ("run", "table3", *ROWS, *asked), log),
            place.command(
                "search", ("search", "distilled", "--trials", str(NUM_TRIALS), "--at-once", "1", *asked), log
            ),
            place.command("second ingest", (*ingest, str(place.videos / "many"), "--name", "many"), log),
        ],
    ]
