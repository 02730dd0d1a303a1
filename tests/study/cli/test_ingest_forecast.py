"""What a dry run of an ingest expects: of the cores that would store the videos, not of two."""

from pathlib import Path

import pytest

from study.cli import execute, machine
from study.cli.ingest_forecast import forecast
from study.cli.resources import ComputeTarget
from study.core.store import Store
from study.core.study import standalone
from study.execution.ray import connection, nodes
from tests.search_spaces.fake_dataset import fake_dataset
from tests.study.cli.test_machine import joined

VIDEOS = standalone(fake_dataset(40).videos(fps=5, size_px=250))
"""Each of 15,000 frames: 16.7 s of two cores."""


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (execute, machine):
        monkeypatch.setattr(module, "available_cpus", lambda: 16)


@pytest.mark.parametrize(
    ("threads", "num_videos", "said"),
    [
        (None, 40, "40 of 40 videos to store: about 2 min on 16 CPU cores (a guess from the speed of two CPU"),
        (2, 40, "about 11 min on 2 CPU cores"),
        (1, 40, "about 22 min on one CPU core"),
        (None, 3, "3 of 3 videos to store: about 17 s on 6 CPU cores"),
        (None, 1, "1 of 1 videos to store: about 17 s on 2 CPU cores"),
    ],
)
def test_videos_are_stored_as_many_at_once_as_there_are_cores(
    tmp_path: Path, threads: int | None, num_videos: int, said: str
):
    target = ComputeTarget(local=True, threads=threads, gpus_per_worker=0)
    assert said in forecast(VIDEOS[:num_videos], Store(tmp_path), target)


def test_a_cluster_is_asked_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "connect", joined)
    monkeypatch.setattr(nodes, "largest_node", lambda: (8, 0))
    monkeypatch.setattr(nodes, "totals", lambda: (40.0, 0.0))
    monkeypatch.setattr(nodes, "gpu_type", lambda: "")
    monkeypatch.setattr(nodes, "host_names", lambda: frozenset({"a", "b"}))
    target = ComputeTarget(address="head:6379", threads=2, gpus_per_worker=0)
    assert "about 33 s on 40 CPU cores of head:6379" in forecast(VIDEOS, Store(tmp_path), target)
