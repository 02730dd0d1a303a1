"""The same network comes out of every layout, and what else lies in the file is named."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainers.pretrained.layout_files import (
    LAYOUTS,
    classifier,
    layout_file,
    network,
    safetensors_file,
    teacher,
    under,
)
from tests.trainers.public_files import EMBEDDING
from tests.trainers.tiny import SIZE_PX, work
from trainers.networks.backbones import Backbone
from trainers.pretrained.checkpoint_file import read_tensors
from trainers.pretrained.contents import Content, grouped, inspect
from trainers.pretrained.public_weights import DIGEST, PublicWeights, digests_of
from trainers.ssl.encoders import Encoder, load_encoder, read_weights
from trainers.stage import InputError

SMALL = Backbone(architecture="resnet10", width=4)
IMAGES = torch.rand(2, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(1))


def found_in(path: Path, prefix: str | None = None) -> Content:
    return inspect(read_tensors(path), path, "resnet10", prefix)


def loaded(path: Path, content: Content, folder: Path) -> Encoder:
    """The query encoder that the stage makes of a file."""
    stage = PublicWeights(
        digest=digests_of(path, (DIGEST,))[DIGEST],
        layout=content.layout,
        backbone=SMALL,
        embedding_size=content.embedding_size,
        prefix=content.prefix,
        path=path,
    )
    stage.run(work(folder))
    return load_encoder(SMALL, content.embedding_size, read_weights(folder)["query"]).eval()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_features(tmp_path: Path, layout: str):
    path, encoder = layout_file(tmp_path / "file", layout, SMALL)
    _, prefix, kind, has_head = LAYOUTS[layout]
    content = found_in(path)
    assert (content.prefix, content.kind, content.has_head) == (prefix, kind, has_head)
    ours = loaded(path, content, tmp_path / "out")
    assert torch.equal(ours.backbone(IMAGES), encoder.eval().backbone(IMAGES))
    assert torch.equal(ours(IMAGES), encoder(IMAGES)) == has_head


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_of_a_file_is_used_or_named(tmp_path: Path, layout: str):
    path, encoder = layout_file(tmp_path / "file", layout, SMALL)
    content = found_in(path)
    assert sorted((*content.used, *content.left_out)) == sorted(read_tensors(path))
    assert len(content.used) == len(network(encoder)) + (4 if content.has_head else 0)


def test_safetensors_are_read(tmp_path: Path):
    path, encoder = safetensors_file(tmp_path / "model.safetensors", SMALL)
    content = found_in(path)
    assert (content.layout, content.kind, content.left_out) == ("torchvision", "supervised", ("fc.bias", "fc.weight"))
    assert torch.equal(loaded(path, content, tmp_path / "out").backbone(IMAGES), encoder.eval().backbone(IMAGES))


def test_files_of_torch_before_1_6_are_read(tmp_path: Path):
    path, encoder = layout_file(tmp_path / "file", "DINO", SMALL)
    torch.save(torch.load(path, weights_only=False), path, _use_new_zipfile_serialization=False)
    ours = loaded(path, found_in(path), tmp_path / "out")
    assert torch.equal(ours.backbone(IMAGES), encoder.eval().backbone(IMAGES))


def test_half_precision_is_read(tmp_path: Path):
    encoder = teacher(SMALL).half()
    torch.save(under("model.", network(encoder)), tmp_path / "file")
    ours = loaded(tmp_path / "file", found_in(tmp_path / "file"), tmp_path / "out")
    assert torch.equal(ours.backbone(IMAGES), encoder.float().eval().backbone(IMAGES))


OTHER_NETWORK = {
    "MoCo": "encoder_k",
    "MoCo v3": "module.momentum_encoder",
    "DINO": "student.module.backbone.",
    "BYOL": "target_network.encoder",
    "VISSL": "moco_encoder.trunk._feature_blocks",
    "lightly": "backbone_momentum",
    "solo-learn": "momentum_backbone",
    "mmselfsup": "encoder_k.0",
}


@pytest.mark.parametrize("layout", OTHER_NETWORK)
def test_a_prefix_chooses_another_network_of_the_file(tmp_path: Path, layout: str):
    path, encoder = layout_file(tmp_path / "file", layout, SMALL)
    usual, other = found_in(path), found_in(path, OTHER_NETWORK[layout])
    assert usual.others == (other.prefix,)
    ours = loaded(path, other, tmp_path / "out")
    assert not torch.equal(ours.backbone(IMAGES), encoder.eval().backbone(IMAGES))
    assert torch.equal(ours.backbone(IMAGES), teacher(SMALL, seed=11).eval().backbone(IMAGES))


def test_a_copy_does_not_get_the_head_of_the_network_that_is_usually_meant(tmp_path: Path):
    path, _ = layout_file(tmp_path / "file", "mmselfsup", SMALL)
    assert not found_in(path, "encoder_k.0").has_head


def test_a_prefix_that_names_no_network_or_several_is_refused(tmp_path: Path):
    path, _ = layout_file(tmp_path / "file", "DINO", SMALL)
    with pytest.raises(
        InputError, match=r"--prefix techer is that of no network in .*: name one of teacher\.backbone, stu"
    ):
        found_in(path, "techer")
    with pytest.raises(InputError, match=r"--prefix backbone is that of 2 networks"):
        found_in(path, "backbone")


def whole(**changes: Tensor | None) -> dict[str, Tensor]:
    """A network under `model.` with some tensors changed; None takes one away."""
    state: dict[str, Tensor | None] = {**under("model.", network(teacher(SMALL))), **changes}
    return {name: tensor for name, tensor in state.items() if tensor is not None}


FAULTS = {
    "model.layer4.0.bn2.running_var": (None, r"lacks model\.layer4\.0\.bn2\.running_var, which resnet10 has"),
    "model.conv1.weight": (
        torch.zeros(4, 3, 7, 7),
        r"holds model\.conv1\.weight as 4×3×7×7 where resnet10 has 4×3×3×3",
    ),
    "model.layer1.1.conv1.weight": (
        torch.zeros(4, 4, 3, 3),
        r"holds model\.layer1\.1\.conv1\.weight, which resnet10 has not",
    ),
    "model.bn1.bias": (torch.full((4,), float("nan")), r"holds NaN or an infinite value in model\.bn1\.bias"),
    "model.bn1.running_var": (-torch.ones(4), r"holds a negative variance in model\.bn1\.running_var"),
    "model.bn1.weight": (torch.ones(4, dtype=torch.int8), r"holds model\.bn1\.weight as no tensor of plain numbers"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_first_thing_that_does_not_fit_is_named(tmp_path: Path, name: str):
    value, sentence = FAULTS[name]
    torch.save(whole(**{name: value}), tmp_path / "file.pth")
    with pytest.raises(InputError, match=rf"file\.pth {sentence}"):
        found_in(tmp_path / "file.pth")


def test_the_fault_of_one_network_does_not_hide_a_whole_one(tmp_path: Path):
    state = whole(**{"model.bn1.bias": None}) | under("ema.", network(teacher(SMALL)))
    torch.save(state, tmp_path / "file.pth")
    assert found_in(tmp_path / "file.pth").prefix == "ema."


def test_a_copy_does_not_stand_in_for_a_network_with_a_fault(tmp_path: Path):
    state = under("encoder_k.", network(teacher(SMALL))) | under("encoder_q.", network(teacher(SMALL)))
    del state["encoder_q.conv1.weight"]
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(InputError, match=r"file\.pth lacks encoder_q\.conv1\.weight, which resnet10 has"):
        found_in(tmp_path / "file.pth")
    assert found_in(tmp_path / "file.pth", "encoder_k").prefix == "encoder_k."


@pytest.mark.parametrize(
    ("beside", "kind"),
    [
        ({}, None),
        (classifier(SMALL.num_features, 7), "supervised"),
        (classifier(SMALL.num_features, 128), None),
        ({"head.fc.weight": torch.zeros(5, 32), "head.fc.bias": torch.zeros(5)}, "supervised"),
        ({"projector.0.weight": torch.zeros(9, 32)}, "self-supervised"),
        ({"optimizer.state.0.momentum": torch.zeros(9)}, None),
    ],
)
def test_the_kind_is_what_lies_beside_the_network(tmp_path: Path, beside: dict[str, Tensor], kind: str | None):
    torch.save({**network(teacher(SMALL)), **beside}, tmp_path / "file.pth")
    assert found_in(tmp_path / "file.pth").kind == kind


def test_a_head_of_another_form_is_left_out_and_named(tmp_path: Path):
    head = {"projector.0.weight": torch.zeros(32, 32), "projector.0.bias": torch.zeros(32)}
    head |= {"projector.2.weight": torch.zeros(EMBEDDING, 32), "projector.2.bias": torch.zeros(EMBEDDING)}
    torch.save({**whole(), **head}, tmp_path / "fits.pth")
    torch.save({**whole(), **head, "projector.4.weight": torch.zeros(8, EMBEDDING)}, tmp_path / "deeper.pth")
    assert found_in(tmp_path / "fits.pth").has_head
    assert not found_in(tmp_path / "deeper.pth").has_head
    assert {*head, "projector.4.weight"} == set(found_in(tmp_path / "deeper.pth").left_out)


def test_hundreds_of_names_are_put_together_by_their_beginnings():
    few = [f"head.{index}.weight" for index in range(5)]
    many = [f"optimizer.state.{index}.exp_avg" for index in range(300)]
    assert grouped(few) == tuple(few)
    assert grouped([*few[:1], *many]) == ("head.0.weight", "optimizer.state.* (300 tensors)")
