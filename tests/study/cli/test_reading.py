"""Commands that only read write nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from study.cli.synthetic_datasets import SYNTHETIC_DATASETS
from tests.study.tiny_cli import called
from tests.study.tiny_home import copy_of, done, refused
from trainers.data.datasets import registry
from trainers.data.datasets.label_fraction import phases_shown

pytestmark = pytest.mark.usefixtures("tiny_scale")


def tree(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of everything below a folder."""
    return {path: (stat.st_size, stat.st_mtime_ns) for path in folder.rglob("*") for stat in [path.stat()]}


DEMO, SMALL = "13 train, 3 validation, 16 test", "32 train, 8 validation, 40 test"


@pytest.mark.parametrize(
    ("study", "scale", "sides"),
    [("table3", "demo", DEMO), ("fig3", "demo", DEMO), ("paper", "demo", DEMO), ("table3", "small", SMALL)],
)
def test_synthetic_videos_are_planned_before_they_exist_and_nothing_is_written(
    study: str, scale: str, sides: str, tmp_path: Path
):
    home, dataset = tmp_path / "home", SYNTHETIC_DATASETS[scale]
    output = done(called(home, "plan", study, "--scale", scale)).output
    assert f"videos: {sides}" in output
    assert f"The {dataset.num_videos} videos of dataset {scale} do not exist yet: the first run makes them" in output
    record = json.loads(done(called(home, "plan", study, "--scale", scale, "--json")).output)
    assert record["warnings"] == [dataset.unmade_note]
    assert record["expected_seconds"] > 60
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SYNTHETIC_DATASETS)
def test_the_lengths_and_phases_of_unmade_videos_are_those_that_they_get(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("study.cli.videos.available_cpus", lambda: 1)  # a process for each video takes longer to start
    few = replace(SYNTHETIC_DATASETS[name], num_videos=2, minutes=0.1)
    few.make(tmp_path)
    made, unmade = registry.load(tmp_path / "datasets", name), few.unmade()
    assert few.is_made(tmp_path)
    assert made.phases == unmade.phases
    assert (made.layout, made.description) == (unmade.layout, unmade.description) or not few.hospital.description
    videos, expected = made.videos(fps=5, size_px=32), unmade.videos(fps=5, size_px=32)
    assert [video.name for video in expected] == [video.name for video in videos]
    assert [video.num_source_frames for video in expected] == [video.num_source_frames for video in videos]
    assert [phases_shown(video) for video in expected] == [phases_shown(video) for video in videos]
    assert len({video.video_digest for video in expected}) == 2


@pytest.mark.parametrize("command", [("run", "table3", "--row", "heat"), ("search", "distilled", "--set", "x=1")])
def test_what_cannot_be_planned_is_refused_before_the_demos_videos_are_made(command: tuple[str, ...], tmp_path: Path):
    refused(called(tmp_path / "home", *command, "--scale", "demo", "--local"), 2)
    assert not (tmp_path / "home" / "demo-videos").exists()


READING = (
    ("list",),
    ("plan", "table3", "--scale", "tiny", "--dataset", "tiny"),
    ("status",),
    ("status", "table3"),
    ("logs", "table3/head"),
    ("verify",),
    ("datasets",),
    ("weights",),
    ("resources",),
)


def test_what_only_reads_leaves_a_home_as_it_is(table3_home: Path, tmp_path: Path):
    home = copy_of(table3_home, tmp_path)
    before = tree(home)
    for command in READING:
        done(called(home, *command))
    assert tree(home) == before


@pytest.mark.parametrize("command", [*READING, ("report", "table3"), ("stop", "table3")], ids=" ".join)
def test_what_only_reads_makes_no_home(command: tuple[str, ...], tmp_path: Path):
    called(tmp_path / "home", *command)
    assert list(tmp_path.iterdir()) == []
