"""A search, and the study that evaluates its winner, on real files of every layout: who sees which video?"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.study.search.layouts import as_frames, as_m2cai16
from tests.study.tiny_cli import called, make_tiny_videos
from trainers.data.datasets.dataset import LAYOUTS
from trainers.data.datasets.registry import load

NUM_VIDEOS, NUM_TEST = 6, 2
HERE = ("--scale", "tiny", "--local", "--threads", "1", "--no-mlflow")
pytestmark = pytest.mark.usefixtures("tiny_scale")


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


@pytest.fixture(scope="module", params=LAYOUTS)
def home(
    request: pytest.FixtureRequest,
    tiny_scale: None,
    videos: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A home in which one trial was searched on a dataset of the layout, with an unlabelled video beside it."""
    (cholec80, further), layout, folder = videos, request.param, tmp_path_factory.mktemp(request.param)
    root, unlabelled, home = folder / "videos", folder / "unlabelled", folder / "home"
    if layout == "frames":
        as_frames(cholec80, root)
        as_frames(further, unlabelled)
    else:
        shutil.copytree(further / "videos", unlabelled)
    if layout == "m2cai16":
        as_m2cai16(cholec80, root, NUM_TEST)
    elif layout == "cholec80":
        root = cholec80
    result = called(
        home, "ingest", layout, str(root), "--unlabelled", str(unlabelled), "--name", "own", "--scale", "tiny"
    )
    assert result.exit_code == 0, result.output
    searched = called(home, "search", "distilled", "--dataset", "own", "--trials", "1", *HERE)
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


def test_nothing_that_a_search_has_computed_comes_from_a_test_video(home: Path):
    dataset = load(home / "datasets", "own")
    names = [video.name for video in dataset.recordings if video.annotation]
    (unlabelled,) = (video.name for video in dataset.recordings if not video.annotation)
    tested = set(names[-NUM_TEST:] if dataset.layout == "m2cai16" else names[NUM_VIDEOS // 2 :])
    found = videos_behind(home)
    assert frozenset().union(*found.values()) == {*names, unlabelled} - tested
    assert any(unlabelled in seen for stage, seen in found.items() if stage.startswith("Pretrain "))
    evaluation = re.search(r"next: evaluate .*?: freelunch --home \S+ run (.*)", (home / "said.txt").read_text())
    assert evaluation
    evaluated = called(home, "run", *evaluation[1].split(), *HERE[2:])
    assert evaluated.exit_code == 0, evaluated.output
    assert tested <= frozenset().union(*videos_behind(home).values())
