"""Exported files, loaded by the libraries that they are for, give the features of the networks that were trained."""

import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from tests.trainers.export import parts
from tests.trainers.export.parts import RESNET10, RESNET18, SIZE_PX
from tests.trainers.export.parts_made import GRAPHS, IMAGES, by_the_card, written
from tests.trainers.tiny import PHASES
from trainers.export.parts import Part
from trainers.export.writing import relative_difference
from trainers.networks.backbones import Backbone
from trainers.networks.features import network_input
from trainers.ssl.encoders import load_backbone, read_weights

pytestmark = pytest.mark.xdist_group("export")


def test_plain_torchvision_loads_a_student_strictly(tmp_path: Path):
    stage, artifact = parts.encoder(RESNET18, tmp_path / "encoder")
    ours = load_backbone(stage, artifact)
    folder = written(parts.encoder_part("student", stage, artifact, SIZE_PX), "torchvision", tmp_path / "out")
    network = torchvision.models.resnet18()
    network.fc = torch.nn.Identity()
    network.load_state_dict(torch.load(folder / "model.pth", weights_only=True), strict=True)
    images = network_input(IMAGES, torch.device("cpu"))
    with torch.inference_mode():
        assert relative_difference(network.eval()(images), ours(images)) <= 1e-6


def test_plain_torchvision_loads_a_classifier_strictly(made: dict[str, Part], tmp_path: Path):
    part = made["resnet18 classifier"]
    network = torchvision.models.resnet18(num_classes=len(PHASES)).eval()
    network.load_state_dict(torch.load(written(part, "torchvision", tmp_path) / "model.pth", weights_only=True))
    with torch.inference_mode():
        found = network(part.image.normalised(IMAGES)).softmax(1)
    assert relative_difference(found, part.frame_probabilities(IMAGES)) <= 1e-6


def test_the_paper_s_network_has_the_names_of_torchvision_and_timm(tmp_path: Path):
    part = parts.student(Backbone(architecture="resnet50", batch_norm_splits=4), tmp_path)
    torch_file = written(part, "torchvision", tmp_path / "torchvision") / "model.pth"
    timm_file = written(part, "timm", tmp_path / "timm") / "model.safetensors"
    network = torchvision.models.resnet50()
    network.fc = torch.nn.Identity()
    network.load_state_dict(torch.load(torch_file, weights_only=True), strict=True)
    timm.create_model("resnet50", num_classes=0).load_state_dict(load_file(timm_file), strict=True)


def test_mocos_own_rule_reads_a_checkpoint(tmp_path: Path):
    stage, artifact = parts.encoder(RESNET18, tmp_path / "encoder")
    part = parts.encoder_part("student", stage, artifact, SIZE_PX)
    path = written(part, "moco", tmp_path / "out") / "checkpoint.pth.tar"
    state = torch.load(path, weights_only=True)["state_dict"]
    for name in list(state):  # MoCo's main_lincls.py
        if name.startswith("module.encoder_q") and not name.startswith("module.encoder_q.fc"):
            state[name[len("module.encoder_q.") :]] = state[name]
        del state[name]
    network = torchvision.models.resnet18().eval()
    missing = network.load_state_dict(state, strict=False)
    assert set(missing.missing_keys) == {"fc.weight", "fc.bias"}
    assert not missing.unexpected_keys
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        assert relative_difference(network(part.image.normalised(IMAGES)), part.features(IMAGES)) <= 1e-6


def test_a_checkpoint_of_moco_holds_both_encoders_to_the_bit(tmp_path: Path):
    stage, artifact = parts.encoder(RESNET10, tmp_path / "encoder")
    part = parts.encoder_part("teacher", stage, artifact, SIZE_PX)
    state = torch.load(written(part, "moco", tmp_path / "out") / "checkpoint.pth.tar", weights_only=True)["state_dict"]
    weights = read_weights(artifact)
    for role, prefix in (("query", "module.encoder_q."), ("key", "module.encoder_k.")):
        assert torch.equal(state[f"{prefix}conv1.weight"], weights[role]["backbone.conv1.weight"])
        assert torch.equal(
            state[f"{prefix}layer4.0.bn2.running_var"], weights[role]["backbone.layer4.0.bn2.running_var"]
        )
        assert torch.equal(state[f"{prefix}fc.0.weight"], weights[role]["head.hidden.weight"])
        assert torch.equal(state[f"{prefix}fc.2.bias"], weights[role]["head.output.bias"])
    assert len(state) == len(weights["query"]) + len(weights["key"])


CARDS = [
    *((f"resnet18 {part}", name) for part in ("student", "classifier") for name in ("torchvision", "timm")),
    *((f"{network} {part}", "safetensors") for network in ("resnet18", "resnet10", "narrow") for part in GRAPHS),
    *((f"{network} student", "moco") for network in ("resnet18", "resnet10", "narrow")),
    *((f"resnet10 {part}", "onnx") for part in GRAPHS),
]


@pytest.mark.parametrize(("of", "name"), CARDS)
def test_the_lines_of_the_card_load_what_was_written(
    made: dict[str, Part],
    graphs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of: str,
    name: str,
):
    part = made[of]
    monkeypatch.chdir(graphs[part.name] if name == "onnx" else written(part, name, tmp_path))
    found = by_the_card(part, name, IMAGES)
    assert relative_difference(found, part.result(IMAGES)) <= (1e-4 if name == "onnx" else 1e-5)


def test_a_network_that_was_fine_tuned_without_normalisation_says_so(tmp_path: Path):
    stage, _ = parts.encoder(RESNET18, tmp_path / "encoder")
    part = parts.classifier(stage, tmp_path, as_the_authors=True)
    assert not part.image.is_normalised
    network = torchvision.models.resnet18(num_classes=len(PHASES)).eval()
    network.load_state_dict(torch.load(written(part, "torchvision", tmp_path / "a") / "model.pth", weights_only=True))
    with torch.inference_mode():
        assert torch.equal(network(IMAGES / 255).softmax(1).argmax(1), part.frame_probabilities(IMAGES).argmax(1))
    config = json.loads((written(part, "timm", tmp_path / "b") / "config.json").read_text())
    assert config["pretrained_cfg"]["mean"] == [0, 0, 0]
    assert config["label_names"] == list(PHASES)


def test_safetensors_name_what_they_hold(made: dict[str, Part], tmp_path: Path):
    folder = written(made["resnet10 pipeline"], "safetensors", tmp_path)
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"freelunch.part": "pipeline"}
        assert {name.partition(".")[0] for name in file.keys()} == {"network", "classifier", "temporal"}  # noqa: SIM118
