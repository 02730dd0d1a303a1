"""Channel between workers and the process that started them: files in a folder that all nodes see."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path

from trainers.runtime.machine import device_name
from trainers.stage import EpochEnd, Listener, Progress, Report

WANTED = "wanted"
REPORTS = "reports.jsonl"
CHECK_SECONDS = 0.5
UNWANTED = 75
"""Exit code of such a worker."""


def want(folder: Path) -> None:
    """Marks the workers of this folder as wanted, until `unwant` is called or the folder is gone."""
    (folder / WANTED).touch()


def unwant(folder: Path) -> None:
    """Ends all workers of this folder."""
    (folder / WANTED).unlink(missing_ok=True)


@contextmanager
def while_wanted(folder: Path) -> Iterator[None]:
    """A block in which this process ends at once when its work is no longer wanted.

    It opens the file, since that asks the server of a network file system, while `exists` may answer from a cache.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(CHECK_SECONDS):
            if not _is_there(folder / WANTED):
                os._exit(UNWANTED)

    threading.Thread(target=watch, name="freelunch-wanted", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def reporter(folder: Path, gpus: float = 0) -> Listener:
    """A listener that writes reports where `Relay` reads them, with the name of this worker's device.

    Args:
        folder: the workers' folder.
        gpus: that this worker was granted.
    """

    def write(report: Report) -> None:
        if isinstance(report, Progress):
            report = replace(report, device=device_name(gpus))
        with (folder / REPORTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps([type(report).__name__, asdict(report)]) + "\n")

    return write


@contextmanager
def output_to(folder: Path, rank: int) -> Iterator[None]:
    """Sends what this process writes, its libraries in C included, line by line where `Relay` reads it."""
    with _output(folder, rank).open("a", buffering=1) as file:
        sys.stdout.flush()
        sys.stderr.flush()
        before = [(stream, os.dup(stream)) for stream in (1, 2)]
        try:
            for stream, _ in before:
                os.dup2(file.fileno(), stream)
            with redirect_stdout(file), redirect_stderr(file):
                yield
        finally:
            for stream, copy in before:
                os.dup2(copy, stream)
                os.close(copy)


class Relay:
    """Relay of the reports and the output of a folder's workers.

    Args:
        folder: the workers' folder.
        workers: the number of workers.
        listener: called with every report of the first worker.
    """

    def __init__(self, folder: Path, workers: int, listener: Listener) -> None:
        self._reports = _Lines(folder / REPORTS)
        self._outputs = [_Lines(_output(folder, rank)) for rank in range(workers)]
        self._listener = listener

    def catch_up(self) -> None:
        """Relays what is new: reports to the listener, output, by the number of its worker, to standard output."""
        self.print_output()
        for line in self._reports.new():
            kind, fields = json.loads(line)
            self._listener(EpochEnd(**fields) if kind == EpochEnd.__name__ else Progress(**fields))

    def print_output(self, *, to_its_end: bool = False) -> None:
        """Prints the new lines of all workers; with `to_its_end`, an unfinished last one too."""
        for rank, output in enumerate(self._outputs):
            for line in output.new(to_its_end=to_its_end):
                print(f"[worker {rank}] {line}")


class _Lines:
    """The lines that a file has grown by."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def new(self, *, to_its_end: bool = False) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data if to_its_end else data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.decode(errors="replace").splitlines()


def _output(folder: Path, rank: int) -> Path:
    return folder / f"output-{rank}.txt"


def _is_there(path: Path) -> bool:
    try:
        path.open("rb").close()
    except OSError:
        return False
    return True
