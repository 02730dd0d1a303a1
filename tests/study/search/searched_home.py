"""A home in which the command `search` ran, interrupted once, and what its files say."""

import json
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.study.tiny_cli import called
from tests.study.tiny_home import HERE, start, tiny_settings
from trainers.data.synthetic.videos import synthesize

SEARCH = ("search", "distilled", "--local", *HERE)


NAME = "distilled tiny corrected tiny"


PATIENCE_SECONDS = 300


@pytest.fixture(scope="session")
def searched(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a search was interrupted in its first trial, and then went on to its third."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(empty_database, home)
    synthesize(home / "videos", num_videos=6, minutes=0.1, width=96, height=64)
    with tiny_settings():
        ingested = called(home, "ingest", "cholec80", str(home / "videos"), "--name", "tiny", "--scale", "tiny")
        assert ingested.exit_code == 0, ingested.output
        process = start(home, *SEARCH, "--trials", "3")
        assert process.stdout is not None
        said = next(line for line in process.stdout if "trial 0 begins" in line)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130, said + rest + errors
        assert f"To go on, type: freelunch --home {home} search distilled" in rest + errors
        shutil.copy(report(home) / "search.json", home / "interrupted.json")
        went_on = called(home, *SEARCH, "--trials", "3")
    assert went_on.exit_code == 0, went_on.output
    (home / "said.txt").write_text(went_on.output)
    return home


def report(home: Path) -> Path:
    return home / "studies" / "search-distilled" / "corrected-tiny-tiny"


def data(home: Path) -> dict:
    return json.loads((report(home) / "search.json").read_text())


def rows(home: Path, query: str) -> list[tuple]:
    with sqlite3.connect(home / "mlflow.db") as database:
        found = database.execute(query).fetchall()
    database.close()
    return found
