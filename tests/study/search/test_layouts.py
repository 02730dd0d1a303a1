"""A search, and the study that evaluates its winner, on real files of every layout: who sees which video?"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from study.cli.planning import PlannedStudy
from study.cli.search_planning import PlannedSearch
from study.core.graph import walk
from study.home.request import Request
from study.search.request import SearchRequest
from tests.study.search.layouts import as_frames, as_m2cai16
from tests.study.tiny_cli import called, make_tiny_videos
from trainers.data.datasets import image_lengths
from trainers.data.datasets.dataset import Dataset
from trainers.data.datasets.description import builtin
from trainers.data.datasets.registry import load, register
from trainers.data.ingest.video import Ingest
from trainers.ssl.pretrain import Pretrain
from trainers.stage import Stage

NUM_VIDEOS, NUM_TEST = 6, 2
HERE = ("--scale", "tiny", "--local", "--threads", "1", "--no-mlflow")
pytestmark = pytest.mark.usefixtures("tiny_scale", "no_pictures")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Annotated videos laid out as Cholec80, and one more in a folder of its own."""
    cholec80, further = tmp_path_factory.mktemp("cholec80"), tmp_path_factory.mktemp("further")
    make_tiny_videos(cholec80, NUM_VIDEOS + 1)
    for folder in ("videos", "phase_annotations"):
        last = max((cholec80 / folder).iterdir())
        (further / folder).mkdir()
        last.rename(further / folder / last.name)
    return cholec80, further


@pytest.fixture(scope="module", params=["cholec80", "m2cai16", "frames"])
def roots(
    request: pytest.FixtureRequest, videos: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """A layout, a folder of annotated videos in that layout, and a folder with a further video."""
    (cholec80, further), layout, folder = videos, request.param, tmp_path_factory.mktemp(request.param)
    root, unlabelled = folder / "videos", folder / "unlabelled"
    if layout == "frames":
        as_frames(cholec80, root)
        as_frames(further, unlabelled)
    else:
        shutil.copytree(further / "videos", unlabelled)
    if layout == "m2cai16":
        as_m2cai16(cholec80, root, NUM_TEST)
    elif layout == "cholec80":
        root = cholec80
    return layout, root, unlabelled


def sides(dataset: Dataset) -> tuple[set[str], set[str]]:
    """The names of the videos that may lead to a search, and of those to test on."""
    names = [video.name for video in dataset.recordings if video.annotation]
    tested = set(names[-NUM_TEST:] if dataset.layout == "m2cai16" else names[NUM_VIDEOS // 2 :])
    return {video.name for video in dataset.recordings} - tested, tested


def unlabelled_name(dataset: Dataset) -> str:
    (name,) = (video.name for video in dataset.recordings if not video.annotation)
    return name


def videos_of(stage: Stage) -> set[str]:
    """The names of the videos that lead to a stage."""
    return {video.name for video in walk(stage).values() if isinstance(video, Ingest)}


def test_no_stage_of_a_search_depends_on_a_test_video_and_its_evaluation_does(
    roots: tuple[str, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(image_lengths, "SHORTEST_SECONDS", 0)
    layout, root, unlabelled = roots
    dataset = register(tmp_path / "datasets", "own", builtin(layout), root, lambda name: None, unlabelled)
    request = Request(study="distilled", scale="tiny", dataset="own")
    planned = PlannedSearch(tmp_path, SearchRequest(request=request, num_trials=1))
    first = planned.space.initial_point()
    assert first is not None
    seen, tested = sides(dataset)
    assert len(tested) >= NUM_TEST
    for trial in (*planned.space.extreme_trials(), planned.space.trial(0, first)):
        assert videos_of(trial.stage) == seen
        trained = [stage for stage in walk(trial.stage).values() if isinstance(stage, Pretrain)]
        assert any(unlabelled_name(dataset) in videos_of(stage) for stage in trained)
    (evaluated,) = PlannedStudy(tmp_path, planned.evaluation_request(first)).trials
    assert tested <= videos_of(evaluated.stage)


@pytest.fixture(scope="module")
def home(tiny_scale: None, videos: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one trial was searched on videos of M2CAI16's layout, with an unlabelled video beside them."""
    (cholec80, further), folder = videos, tmp_path_factory.mktemp("computed")
    home = folder / "home"
    as_m2cai16(cholec80, folder / "videos", NUM_TEST)
    places = (str(folder / "videos"), "--unlabelled", str(further / "videos"))
    ingested = called(home, "ingest", "m2cai16", *places, "--name", "own", "--scale", "tiny")
    assert ingested.exit_code == 0, ingested.output
    searched = called(home, "search", "distilled", "--dataset", "own", "--trials", "1", "--no-mlflow", *HERE)
    assert searched.exit_code == 0, searched.output
    (home / "said.txt").write_text(searched.output)
    return home


def videos_behind(home: Path) -> Mapping[str, frozenset[str]]:
    """The names of the videos that lead to each artifact but the stored videos themselves, by its type and key."""
    manifests = [json.loads(path.read_text()) for path in (home / "artifacts").glob("*/manifest.json")]
    by_key = {manifest["key"]: manifest for manifest in manifests}

    def behind(key: str) -> frozenset[str]:
        if "video_digest" in by_key[key]["config"]:
            return frozenset({by_key[key]["config"]["name"]})
        return frozenset().union(*map(behind, by_key[key]["inputs"].values()))

    return {f"{m['stage']} {m['key']}": behind(m["key"]) for m in manifests if "video_digest" not in m["config"]}


@pytest.mark.slow
def test_no_artifact_of_a_search_comes_from_a_test_video_and_its_evaluation_does(home: Path):
    dataset = load(home / "datasets", "own")
    seen, tested = sides(dataset)
    found = videos_behind(home)
    assert frozenset().union(*found.values()) == seen
    assert any(unlabelled_name(dataset) in names for stage, names in found.items() if stage.startswith("Pretrain "))
    evaluation = re.search(r"next: evaluate .*?: freelunch --home \S+ run (.*)", (home / "said.txt").read_text())
    assert evaluation
    evaluated = called(home, "run", *evaluation[1].split(), "--no-mlflow", *HERE[2:])
    assert evaluated.exit_code == 0, evaluated.output
    assert tested <= frozenset().union(*videos_behind(home).values())
