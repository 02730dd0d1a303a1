"""Plain timm loads what is exported for it, its own networks among it."""

from pathlib import Path

import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.trainers.export import parts
from tests.trainers.export.parts import SIZE_PX
from tests.trainers.export.parts_made import IMAGES, by_the_card, written
from tests.trainers.tiny import PHASES
from trainers.export.parts import Part
from trainers.export.writing import check_holds, random_images, relative_difference
from trainers.networks.architectures import backbone_of
from trainers.networks.features import network_input
from trainers.ssl.encoders import load_backbone
from trainers.stage import InputError

pytestmark = pytest.mark.xdist_group("export")


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
