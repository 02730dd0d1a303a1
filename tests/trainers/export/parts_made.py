"""Parts of small networks, written in the formats of other libraries."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.trainers.export import parts
from tests.trainers.export.parts import NARROW, RESNET10, RESNET18, SIZE_PX
from trainers.export.parts import Part
from trainers.export.writing import FORMATS, random_images, write_part

IMAGES = random_images(5, SIZE_PX)


GRAPHS = ("student", "classifier", "pipeline")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    """Parts of ResNet-18, of a narrow one and of the small network, by name."""
    folder = tmp_path_factory.mktemp("parts")
    found = {}
    for name, backbone in (("resnet18", RESNET18), ("resnet10", RESNET10), ("narrow", NARROW)):
        stage, _ = parts.encoder(backbone, folder / name / "of")
        found[f"{name} student"] = parts.student(backbone, folder / name)
        found[f"{name} classifier"] = parts.classifier(stage, folder / name)
        found[f"{name} pipeline"] = parts.pipeline(stage, folder / name / "video")
    return found


@pytest.fixture(scope="session")
def graphs(made: dict[str, Part], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with the graphs of the small network, by part: they take seconds to write."""
    folder = tmp_path_factory.mktemp("graphs")
    return {name: written(made[f"resnet10 {name}"], "onnx", folder / name) for name in GRAPHS}


def written(part: Part, name: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    assert write_part(part, name, folder, {"freelunch.part": part.name}) <= FORMATS[name].tolerance
    return folder


def by_the_card(part: Part, name: str, images: Tensor) -> Tensor:
    """What the lines of the card make of images, run in the folder of the files."""
    frames = images.permute(0, 2, 3, 1).numpy()
    space: dict[str, object] = {"frames": [Image.fromarray(each) for each in frames] if name == "timm" else frames}
    with torch.inference_mode():
        exec(FORMATS[name].usage(part), space)
    found = space["features" if part.classifier is None else "probabilities"]
    return found if isinstance(found, Tensor) else torch.from_numpy(found)
