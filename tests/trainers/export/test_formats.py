"""Exported files, loaded by the libraries that they are for, give the features of the networks that were trained."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tests.trainers.export import parts
from tests.trainers.export.parts import RESNET10, RESNET18, SIZE_PX
from tests.trainers.tiny import PHASES
from trainers.export import onnx_files, writing
from trainers.export.parts import Part
from trainers.export.torch_files import TorchvisionFormat
from trainers.export.writing import FORMATS, check_holds, random_images, relative_difference, write_part
from trainers.networks.architectures import backbone_of
from trainers.networks.backbones import Backbone
from trainers.networks.features import network_input
from trainers.ssl.encoders import load_backbone, read_weights
from trainers.ssl.transfer import Combined
from trainers.stage import InputError, MachineError

IMAGES = random_images(5, SIZE_PX)
GRAPHS = ("student", "classifier", "pipeline")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    """Parts of ResNet-18 and of the small network, by name."""
    folder = tmp_path_factory.mktemp("parts")
    found = {}
    for name, backbone in (("resnet18", RESNET18), ("resnet10", RESNET10)):
        stage, _ = parts.encoder(backbone, folder / name / "of")
        found[f"{name} student"] = parts.student(backbone, folder / name)
        found[f"{name} classifier"] = parts.classifier(stage, folder / name)
        found[f"{name} pipeline"] = parts.pipeline(stage, folder / name / "video")
    return found


@pytest.fixture(scope="module")
def graphs(made: dict[str, Part], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with the graphs of the small network, by part: they take seconds to write."""
    folder = tmp_path_factory.mktemp("graphs")
    return {name: written(made[f"resnet10 {name}"], "onnx", folder / name) for name in GRAPHS}


def written(part: Part, name: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    assert write_part(part, name, folder, {"freelunch.part": part.name}) <= FORMATS[name].tolerance
    return folder


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


@pytest.mark.parametrize(("name", "num_classes"), [("student", 0), ("classifier", len(PHASES))])
def test_plain_timm_loads_strictly_and_finds_the_input_in_the_folder(
    made: dict[str, Part], tmp_path: Path, name: str, num_classes: int
):
    part = made[f"resnet18 {name}"]
    folder = written(part, "timm", tmp_path)
    network = timm.create_model("resnet18", num_classes=num_classes).eval()
    network.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    expected = part.frame_probabilities(IMAGES) if num_classes else part.features(IMAGES)
    with torch.inference_mode():
        found = network(part.image.normalised(IMAGES))
    assert relative_difference(found.softmax(1) if num_classes else found, expected) <= 1e-6
    described = timm.data.resolve_model_data_config(timm.create_model(f"local-dir:{folder}", pretrained=True))
    assert tuple(described["input_size"]) == (3, SIZE_PX, SIZE_PX)
    assert (tuple(described["mean"]), tuple(described["std"])) == (part.image.mean, part.image.std)
    assert (described["crop_mode"], described["crop_pct"]) == ("squash", 1.0)


@pytest.mark.parametrize("model", ["test_vit", "test_convnext", "test_resnet"])
def test_networks_of_timm_leave_as_they_are_there(tmp_path: Path, model: str):
    backbone = backbone_of(f"timm:{model}")
    stage, artifact = parts.encoder(backbone, tmp_path / "encoder")
    part = parts.encoder_part("student", stage, artifact, SIZE_PX)
    assert (part.image.size_px, part.image.before_px) == (backbone.input_px, SIZE_PX)
    images = random_images(2, part.image.size_px)
    with torch.inference_mode():
        expected = load_backbone(stage, artifact)(network_input(images, torch.device("cpu")))
    network = timm.create_model(f"local-dir:{written(part, 'timm', tmp_path / 'timm')}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    seen = torch.stack([transform(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images])
    with torch.inference_mode():
        assert relative_difference(network(seen), expected) <= 1e-5
    for name in ("torchvision", "moco"):
        with pytest.raises(InputError, match=f"timm:{model}@.* is a network of timm; --format takes timm, safet"):
            check_holds(part, name)
    written(part, "safetensors", tmp_path / "safetensors")
    if model == "test_vit":
        session = onnxruntime.InferenceSession(written(part, "onnx", tmp_path / "onnx") / "model.onnx")
        (found,) = session.run(None, {"images": images.numpy()})
        assert relative_difference(torch.from_numpy(found), expected) <= 1e-4


@pytest.mark.parametrize("model", ["test_vit", "test_convnext"])
def test_a_classifier_on_a_network_of_timm_has_its_place_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
):
    stage, _ = parts.encoder(backbone_of(f"timm:{model}"), tmp_path / "encoder")
    part = parts.classifier(stage, tmp_path)
    monkeypatch.chdir(written(part, "safetensors", tmp_path / "out"))
    images = random_images(2, part.image.size_px)
    assert relative_difference(by_the_card(part, "safetensors", images), part.result(images)) <= 1e-5
    network = timm.create_model(f"local-dir:{written(part, 'timm', tmp_path / 'timm')}", pretrained=True)
    assert network.num_classes == len(PHASES)


def test_a_pipeline_on_a_network_of_timm_is_made_again_by_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage, _ = parts.encoder(backbone_of("timm:test_convnext"), tmp_path / "encoder")
    part = parts.pipeline(stage, tmp_path)
    monkeypatch.chdir(written(part, "safetensors", tmp_path / "out"))
    images = random_images(3, part.image.size_px)
    assert relative_difference(by_the_card(part, "safetensors", images), part.result(images)) <= 1e-5


def test_a_classifier_that_timm_has_no_place_for_is_made_by_freelunch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage, _ = parts.encoder(backbone_of("timm:test_vit"), tmp_path / "encoder")
    part = parts.classifier(stage, tmp_path)
    monkeypatch.setattr(timm.models.vision_transformer.VisionTransformer, "get_classifier", lambda self: (1, 2))
    with pytest.raises(InputError, match="its classifier in timm is no linear layer"):
        check_holds(part, "timm")
    monkeypatch.chdir(written(part, "safetensors", tmp_path / "out"))
    images = random_images(2, part.image.size_px)
    assert relative_difference(by_the_card(part, "safetensors", images), part.result(images)) <= 1e-5


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


@pytest.mark.parametrize("name", GRAPHS)
def test_onnx_takes_bytes_and_any_number_of_frames(made: dict[str, Part], graphs: dict[str, Path], name: str):
    part = made[f"resnet10 {name}"]
    path = graphs[name] / ("frames.onnx" if name == "pipeline" else "model.onnx")
    session = onnxruntime.InferenceSession(path)
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [3, SIZE_PX, SIZE_PX])
    for count in (1, 5):
        outputs = session.run(None, {"images": IMAGES[:count].numpy()})
        assert relative_difference(torch.from_numpy(outputs[0]), part.features(IMAGES[:count])) <= 1e-4
        if name != "student":
            found = torch.from_numpy(outputs[1])
            assert relative_difference(found, part.frame_probabilities(IMAGES[:count])) <= 1e-4
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert metadata["freelunch.part"] == name


def test_the_temporal_graph_takes_a_video_of_any_length_and_is_causal(made: dict[str, Part], graphs: dict[str, Path]):
    part = made["resnet10 pipeline"]
    session = onnxruntime.InferenceSession(graphs["pipeline"] / "temporal.onnx")
    features = torch.randn(90, part.extractor.num_features)
    (whole,) = session.run(None, {"features": features.numpy()})
    assert np.allclose(whole.sum(axis=1), 1, atol=1e-5)
    for length in (1, 2, 90):
        (found,) = session.run(None, {"features": features[:length].numpy()})
        assert found.shape == (length, len(PHASES))
        assert relative_difference(torch.from_numpy(found), part.phase_probabilities(features[:length])) <= 1e-4
        assert np.allclose(found, whole[:length], atol=1e-5)


def test_plain_torchvision_and_onnx_agree_on_resnet18(made: dict[str, Part], tmp_path: Path):
    part = made["resnet18 student"]
    session = onnxruntime.InferenceSession(written(part, "onnx", tmp_path) / "model.onnx")
    (found,) = session.run(None, {"images": IMAGES.numpy()})
    assert relative_difference(torch.from_numpy(found), part.features(IMAGES)) <= 1e-4


CARDS = [
    *((f"resnet18 {part}", name) for part in ("student", "classifier") for name in ("torchvision", "timm")),
    *((f"{network} {part}", "safetensors") for network in ("resnet18", "resnet10") for part in GRAPHS),
    *((f"{network} student", "moco") for network in ("resnet18", "resnet10")),
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


def by_the_card(part: Part, name: str, images: Tensor) -> Tensor:
    """What the lines of the card make of images, run in the folder of the files."""
    frames = images.permute(0, 2, 3, 1).numpy()
    space: dict[str, object] = {"frames": [Image.fromarray(each) for each in frames] if name == "timm" else frames}
    with torch.inference_mode():
        exec(FORMATS[name].usage(part), space)
    found = space["features" if part.classifier is None else "probabilities"]
    return found if isinstance(found, Tensor) else torch.from_numpy(found)


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


@pytest.mark.parametrize(
    ("of", "name", "why"),
    [
        ("resnet10 student", "torchvision", "resnet10 is a small network of freelunch's own, which torchvision"),
        ("resnet10 student", "timm", "--format takes safetensors, moco or onnx for it"),
        ("resnet10 classifier", "timm", "--format takes safetensors or onnx for it"),
        ("resnet18 pipeline", "torchvision", "torchvision's networks have no temporal model"),
        ("resnet18 pipeline", "timm", "timm's networks have no temporal model"),
        ("resnet18 classifier", "moco", "MoCo's checkpoints hold an encoder without a classifier"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_the_formats_that_can(
    made: dict[str, Part], tmp_path: Path, of: str, name: str, why: str
):
    with pytest.raises(InputError, match=why):
        write_part(made[of], name, tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_two_networks_together_are_refused_by_formats_of_one(made: dict[str, Part]):
    two = Combined(teacher=RESNET18, student=RESNET18, combination="sum")
    part = Part(name="student", extractor=two, network=two.build(0), image=made["resnet18 student"].image, encoders={})
    for name in ("torchvision", "timm", "moco"):
        with pytest.raises(InputError, match=r"those of two networks, teacher and student.*safetensors or onnx"):
            check_holds(part, name)


def test_a_head_that_is_not_mocos_is_refused_in_mocos_format(made: dict[str, Part]):
    part = made["resnet18 student"]
    encoders = {"query": {**part.encoders["query"], "head.norm.weight": torch.ones(1)}}
    other = Part(name="student", extractor=part.extractor, network=part.network, image=part.image, encoders=encoders)
    with pytest.raises(InputError, match="its projection head is not that of MoCo v2; --format takes torchvision, "):
        check_holds(other, "moco")


def test_a_file_that_gives_other_features_is_refused(
    made: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(TorchvisionFormat, "read_back", lambda self, part, folder, images: part.features(images) + 1)
    with pytest.raises(MachineError, match=r"read back, differ from the student by .* nothing was exported"):
        write_part(made["resnet18 student"], "torchvision", tmp_path, {})


def test_without_the_packages_of_onnx_a_sentence_says_what_to_install(
    made: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_files, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(MachineError, match="needs no_such_package: install freelunch-surgical"):
        writing.write_part(made["resnet10 student"], "onnx", tmp_path, {})


def test_a_network_that_onnx_cannot_express_is_refused_in_a_sentence(made: dict[str, Part], tmp_path: Path):
    class Odd(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.linalg.eigvals(images.mean(1)).abs()

    part = made["resnet10 student"]
    odd = Part(name="student", extractor=part.extractor, network=Odd(), image=part.image)
    with pytest.raises(MachineError, match=r"torch cannot make a graph of this network \(.*\): take another format"):
        write_part(odd, "onnx", tmp_path, {})


def test_large_graphs_keep_their_weights_in_a_file_beside(
    made: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_files, "LARGEST_GRAPH_BYTES", 1000)
    folder = written(made["resnet10 student"], "onnx", tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "model.onnx.data"]
