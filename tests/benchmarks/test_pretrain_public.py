"""The training of the package's free models, in its smallest form: the same bits again, from however many processes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.pretrain_public import CURVE, best_candidate, run
from benchmarks.public_models import KINDS, SHORT, SMALL, Settings, draw
from search_spaces.protocol.scales import SCALES
from trainers.data.frames import Frames
from trainers.pretrained.shipped import facts_of, shipped_with
from trainers.stage import Resources

ASKED = replace(SMALL, per_scene=4)
SMALLEST_BYTES, LARGEST_BYTES = 10**6, 6 * 10**6


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, tiny_frames: Path) -> list[Path]:
    """The output of two equal trainings; the first one looks at the videos of a folder."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    for folder, frames in zip(folders, (tiny_frames, None), strict=True):
        run(ASKED, KINDS, folder, Resources(threads=1), frames)
    return folders


@pytest.fixture(scope="module")
def tiny_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn images in place of ingested videos, two that train and one to validate on."""
    folder = tmp_path_factory.mktemp("frames")
    for side, seed in (("training", 1), ("validation", 2)):
        draw(Settings(images=24, seed=seed).parts(), folder / side, processes=1)
    return folder


def test_the_same_command_trains_the_same_bits_whether_or_not_it_looks_at_videos(twice: list[Path]):
    for kind in KINDS:
        one, other = (load_file(folder / f"demo-{kind}.safetensors") for folder in twice)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert len({float(tensor.float().std()) for tensor in one.values() if tensor.dim() == 4}) > 5


def test_what_is_written_is_found_by_the_scales_network_and_says_how_it_was_trained(twice: list[Path]):
    found = {weights.kind: weights for weights in shipped_with(SMALL.backbone, twice[0])}
    assert found.keys() == set(KINDS)
    for kind, weights in found.items():
        path = Path(weights.file)
        assert SMALLEST_BYTES < path.stat().st_size < LARGEST_BYTES
        facts = facts_of(path)
        assert (facts.num_images, facts.kind, facts.images) == (SMALL.images, kind, "DrawnImages, revision 1")
        assert facts.method == {"self-supervised": "MoCo v2", "supervised": "classifier of scenes"}[kind]
        assert facts.epochs == (SMALL.epochs if kind == "self-supervised" else SMALL.supervised_epochs)


def test_the_curve_has_losses_and_what_the_features_are_worth_where_there_are_videos(twice: list[Path]):
    watched, alone = (json.loads((folder / CURVE).read_text()) for folder in twice)
    curves = watched["self-supervised"]["curves"]
    assert len(curves["loss"]) == len(curves["knn_accuracy"]) == SMALL.epochs
    assert 0 <= watched["supervised"]["knn_accuracy"] <= 100
    assert watched["asked"] == alone["asked"]
    assert alone["self-supervised"]["curves"]["loss"] == curves["loss"]
    assert "knn_accuracy" not in alone["self-supervised"]["curves"]


def test_images_that_several_processes_draw_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.public_models.IMAGES_PER_PART", 4)
    parts = Settings(images=6).parts()
    assert [(part.first, part.num_images) for part in parts] == [(0, 4), (4, 2)]
    folders = {count: draw(parts, tmp_path / str(count), processes=count) for count in (1, 2)}
    one, other = (Frames(list(each.values())) for each in folders.values())
    with one, other:
        assert all((one.image(row) == other.image(row)).all() for row in range(6))


def test_the_network_and_the_sizes_are_those_of_the_scale():
    asked, scale = Settings(), SCALES[Settings().scale]
    sizes = (scale.architecture, scale.width, scale.size_px, scale.store_px)
    assert (asked.architecture, asked.width, asked.size_px, asked.store_px) == sizes


def test_of_several_settings_those_of_the_best_features_are_taken(tmp_path: Path, tiny_frames: Path):
    candidates = ({"per_theme": 1}, {"drawing": "generic", "hue": 0.5})
    best = best_candidate(tmp_path, tiny_frames, 2, candidates, images=64, epochs=1, queue_size=64)
    compared = json.loads((tmp_path / "candidates.json").read_text())
    assert [each["settings"] for each in compared] == list(candidates)
    assert best == max(compared, key=lambda each: each["knn_accuracy"])["settings"]
    assert Settings(**{**SHORT, **best})


def test_it_needs_no_package_that_a_bare_machine_with_a_gpu_lacks():
    blocked = "import sys; sys.modules.update(dict.fromkeys(('av', 'ray', 'mlflow', 'optuna', 'click', 'sqlalchemy')))"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", f"{blocked}; import benchmarks.pretrain_public"], check=True, cwd=root)
