"""Homes of scale `tiny` that all tests share, and their fixtures; a test that changes one copies it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import Result

from search_spaces.protocol.scales import SCALES
from tests.shared import made_once
from tests.study import tiny_cli
from tests.study.tiny_cli import TINY, called, make_tiny_videos

ASKED = ("--scale", "tiny", "--dataset", "tiny")
HERE = ("--threads", "1", *ASKED)
LOCAL = ("--local", "--no-mlflow", *HERE)
PATIENCE_SECONDS = 240


@contextmanager
def tiny_settings() -> Iterator[None]:
    """Scale `tiny` beside the others, no home folder of the environment's, wide tables."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCALES, "tiny", TINY)
        patch.delenv("FREELUNCH_HOME", raising=False)
        patch.setenv("COLUMNS", "200")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny_scale() -> Iterator[None]:
    with tiny_settings():
        yield


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports whose figures are painted, but neither laid out nor written, for tests that look at none of them.

    Reports that fixtures of a wider scope write have their pictures.
    """
    monkeypatch.setattr("study.report.figures.style._settle", lambda figure: None)
    monkeypatch.setattr("study.report.figures.style.to_svg", lambda figure, name: "<svg ></svg>")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database of a home without runs: its schema takes seconds, so it is made once."""

    def make(home: Path) -> None:
        from study.tracking.mlflow_client import Destination  # MLflow takes seconds, too
        from study.tracking.uri import default_uri

        Destination(home, default_uri(home))

    return made_once(tmp_path_factory, "mlflow", make) / "mlflow.db"


@pytest.fixture(scope="session")
def tiny_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four annotated videos, laid out as Cholec80."""
    return made_once(tmp_path_factory, "videos", make_tiny_videos)


@pytest.fixture(scope="session")
def tiny_home(tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a dataset `tiny` of four videos, in which nothing else is computed."""

    def ingest(folder: Path) -> None:
        with tiny_settings():
            asked = ("ingest", "cholec80", str(tiny_videos), "--name", "tiny", "--scale", "tiny")
            done(called(folder / "home", *asked))

    return made_once(tmp_path_factory, "tiny", ingest) / "home"


@pytest.fixture(scope="session")
def table3_home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all of table3 is finished."""

    def run(folder: Path) -> None:
        with tiny_settings():
            done(called(copy_of(tiny_home, folder), "run", "table3", *LOCAL))

    return made_once(tmp_path_factory, "table3", run) / "home"


def copy_of(home: Path, folder: Path) -> Path:
    """A copy of a home, to be changed."""
    return Path(shutil.copytree(home, folder / "home"))


def done(result: Result) -> Result:
    """A result, of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return result


def refused(result: Result, exit_code: int, *parts: str) -> None:
    """The command ended with one sentence on standard error that holds all of these."""
    assert result.exit_code == exit_code, result.output
    errors = [line for line in result.stderr.strip().splitlines() if not line.startswith(("Usage", "Try"))]
    assert len([line for line in errors if line]) == 1, result.stderr
    assert "Traceback" not in result.output
    for part in parts:
        assert part in result.stderr


def start(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(tiny_cli.__file__), "--home", str(home), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(holds: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Waits until something holds, while a process runs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
