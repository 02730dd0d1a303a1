import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from study.core.graph import key
from tests.trainers.public_files import counts, moco_file, rewritten, torchvision_file
from tests.trainers.tiny import SIZE_PX, assert_same_state, work
from trainers.networks.backbones import Backbone
from trainers.pretrained.checkpoint_file import read_tensors
from trainers.pretrained.contents import Layout, inspect
from trainers.pretrained.public_weights import PublicWeights
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import SharedBackbonePair, frozen_pair
from trainers.stage import InputError, MachineError

SMALL = Backbone(architecture="resnet10", width=4)


def stage_of(path: Path, layout: Layout) -> PublicWeights:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PublicWeights(digest=digest, layout=layout, backbone=SMALL, path=path)


def run(stage: PublicWeights, folder: Path) -> Path:
    stage.run(work(folder))
    return folder


def test_mocos_query_encoder_comes_out_in_both_roles_with_its_public_head(tmp_path):
    path, query = moco_file(tmp_path / "moco.pth.tar", SMALL)
    with torch.no_grad():
        query.backbone.bn1.running_mean.add_(3.0)
    path = rewritten(path, {"module.encoder_q.bn1.running_mean": query.backbone.bn1.running_mean})
    stage = stage_of(path, "moco")
    folder = run(stage, tmp_path / "out")
    weights = read_weights(folder)
    assert_same_state(weights["query"], query.state_dict())
    assert_same_state(weights["key"], query.state_dict())
    assert isinstance(frozen_pair(stage, folder), SharedBackbonePair)


def test_a_supervised_checkpoint_gives_its_backbone_and_a_head_from_a_fixed_seed(tmp_path):
    path, encoder = torchvision_file(tmp_path / "resnet.pth", SMALL)
    stage = stage_of(path, "torchvision")
    folder = run(stage, tmp_path / "out")
    wanted = {name: value for name, value in encoder.backbone.state_dict().items() if not counts(name)}
    loaded = load_backbone(stage, folder).state_dict()
    assert_same_state({name: loaded[name] for name in wanted}, wanted)
    again = run(stage, tmp_path / "again")
    assert_same_state(read_weights(folder)["query"], read_weights(again)["query"])
    assert_same_state(read_weights(folder)["query"], read_weights(folder)["key"])


@pytest.mark.parametrize("make", [moco_file, torchvision_file])
def test_a_teacher_can_start_from_them(tmp_path, make: Callable[..., Any]):
    path, encoder = make(tmp_path / "file", SMALL)
    stage = stage_of(path, "moco" if make is moco_file else "torchvision")
    config = MoCo(start=stage, trains="head", queue_size=8, embedding_size=128)
    config.check(SMALL, 8)
    method = config.build(SMALL, {"start": run(stage, tmp_path / "out")}, 0)
    images = torch.rand(2, 3, SIZE_PX, SIZE_PX)
    torch.testing.assert_close(method.encoders.query.backbone.eval()(images), encoder.backbone.eval()(images))


def test_the_content_is_the_identity_and_the_place_is_not(tmp_path):
    path, _ = moco_file(tmp_path / "moco.pth.tar", SMALL, seed=5)
    moved = tmp_path / "elsewhere.tar"
    moved.write_bytes(path.read_bytes())
    other, _ = moco_file(tmp_path / "other.pth.tar", SMALL, seed=6)
    assert key(stage_of(path, "moco")) == key(stage_of(moved, "moco")) != key(stage_of(other, "moco"))


def test_a_file_that_changed_since_is_refused(tmp_path):
    path, _ = moco_file(tmp_path / "moco.pth.tar", SMALL)
    stage = stage_of(path, "moco")
    rewritten(path, {"module.queue_ptr": torch.ones(1)})
    with pytest.raises(InputError, match=r"moco\.pth\.tar is not the file that was registered"):
        stage.run(work(tmp_path / "out"))


def test_a_file_that_is_not_here_is_said_to_be_missing_on_this_machine(tmp_path):
    path, _ = moco_file(tmp_path / "moco.pth.tar", SMALL)
    stage = stage_of(path, "moco")
    path.unlink()
    with pytest.raises(MachineError, match=r"moco\.pth\.tar cannot be read on this machine \(No such file"):
        stage.run(work(tmp_path / "out"))


MOCO_FAULTS = {
    "module.encoder_q.fc.0.weight": (None, r"lacks state_dict\.module\.encoder_q\.fc\.0\.weight"),
    "module.encoder_q.layer4.0.bn2.running_var": (
        None,
        r"lacks state_dict\.module\.encoder_q\.layer4\.0\.bn2\.running_var",
    ),
    "module.encoder_q.conv1.weight": (
        torch.zeros(4, 3, 7, 7),
        r"holds state_dict\.module\.encoder_q\.conv1\.weight as 4×3×7×7 where resnet10 has 4×3×3×3",
    ),
    "module.encoder_q.bn1.bias": ("text", r"lacks state_dict\.module\.encoder_q\.bn1\.bias, which resnet10 has"),
    "module.encoder_q.conv1.bias": (
        torch.zeros(4),
        r"holds state_dict\.module\.encoder_q\.conv1\.bias, which resnet10 has not",
    ),
    "module.encoder_q.fc.2.bias": (
        torch.full((128,), float("inf")),
        r"holds NaN or an infinite value in state_dict\.module\.encoder_q\.fc\.2\.bias: download",
    ),
}


@pytest.mark.parametrize("name", MOCO_FAULTS)
def test_the_first_thing_that_does_not_fit_a_moco_checkpoint_is_named(tmp_path, name: str):
    value, sentence = MOCO_FAULTS[name]
    path = rewritten(moco_file(tmp_path / "moco.pth.tar", SMALL)[0], {name: value})
    with pytest.raises(InputError, match=rf"moco\.pth\.tar {sentence}"):
        stage_of(path, "moco").run(work(tmp_path / "out"))


SUPERVISED_FAULTS = {
    "layer2.0.conv1.weight": (None, r"lacks layer2\.0\.conv1\.weight"),
    "layer1.1.conv1.weight": (torch.zeros(4, 4, 3, 3), r"holds layer1\.1\.conv1\.weight, which resnet10 has not"),
}


@pytest.mark.parametrize("name", SUPERVISED_FAULTS)
def test_the_first_thing_that_does_not_fit_a_supervised_checkpoint_is_named(tmp_path, name: str):
    value, sentence = SUPERVISED_FAULTS[name]
    path = rewritten(torchvision_file(tmp_path / "resnet.pth", SMALL)[0], {name: value})
    with pytest.raises(InputError, match=rf"resnet\.pth {sentence}"):
        stage_of(path, "torchvision").run(work(tmp_path / "out"))


LEFT_OUT = {
    "module.encoder_k.conv1.weight": None,
    "module.queue": torch.full((127, 32), float("nan")),
    "module.predictor.weight": torch.zeros(1),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_of_a_checkpoint_may_be_of_any_form(tmp_path, name: str):
    path, query = moco_file(tmp_path / "moco.pth.tar", SMALL)
    folder = run(stage_of(rewritten(path, {name: LEFT_OUT[name]}), "moco"), tmp_path / "out")
    assert_same_state(read_weights(folder)["query"], query.state_dict())


def test_a_negative_variance_is_named(tmp_path):
    path = rewritten(torchvision_file(tmp_path / "resnet.pth", SMALL)[0], {"bn1.running_var": -torch.ones(4)})
    with pytest.raises(InputError, match=r"resnet\.pth holds a negative variance in bn1\.running_var: download"):
        stage_of(path, "torchvision").run(work(tmp_path / "out"))


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_architectures_are_recognised(tmp_path, architecture: str):
    backbone = Backbone(architecture=architecture)
    path, _ = torchvision_file(tmp_path / "resnet.pth", backbone)
    found = inspect(read_tensors(path), path)
    assert (found.layout, found.architecture) == ("torchvision", architecture)


def test_another_network_is_refused(tmp_path):
    path, _ = moco_file(tmp_path / "moco.pth.tar", SMALL)
    with pytest.raises(
        InputError, match=r"holds no resnet50 .*: it looks like resnet10, which --architecture resnet10"
    ):
        inspect(read_tensors(path), path, "resnet50")
    torch.save({"state_dict": {"encoder.weight": torch.zeros(1)}}, path)
    with pytest.raises(InputError, match=r"holds no ResNet .*, its first tensor is state_dict\.encoder\.weight: name"):
        inspect(read_tensors(path), path)


def test_torchvisions_own_network_is_laid_out_like_this(tmp_path):
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    path = tmp_path / "resnet18.pth"
    found = inspect(read_tensors(path), path)
    assert (found.layout, found.architecture, found.left_out) == ("torchvision", "resnet18", ("fc.weight", "fc.bias"))


KEYS = {"moco": "290d72314c6a7a23827acd588708fa9e", "torchvision": "3260605a2f45a6aa2791dc6510771833"}
"""Keys of stages that were computed before other layouts were read."""


@pytest.mark.parametrize("layout", KEYS)
def test_keys_of_the_first_two_layouts_stay(layout: Layout):
    backbone = Backbone(architecture="resnet50")
    stage = PublicWeights(digest="0" * 64, layout=layout, backbone=backbone, path=Path("/nowhere"))
    assert key(stage) == KEYS[layout]
