"""Graphs in ONNX give the features and probabilities of the networks that were trained."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from tests.trainers.export.parts import SIZE_PX
from tests.trainers.export.parts_made import GRAPHS, IMAGES, written
from tests.trainers.tiny import PHASES
from trainers.export import onnx_files, writing
from trainers.export.parts import Part
from trainers.export.writing import relative_difference, write_part
from trainers.stage import MachineError

pytestmark = pytest.mark.xdist_group("export")


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


def test_without_the_packages_of_onnx_a_sentence_says_what_to_install(
    made: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_files, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(MachineError, match="needs no_such_package: install freelunch-surgical"):
        writing.write_part(made["resnet10 student"], "onnx", tmp_path, {})
