import json
import os
from pathlib import Path

import pytest
import timm
import torch
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from study.core.graph import key
from tests.trainers.public_files import moco_file, rewritten, torchvision_file
from trainers.networks.backbones import Backbone
from trainers.pretrained.published import OFFICIAL
from trainers.pretrained.registry import UNKNOWN, Asked, load, register
from trainers.runtime.registry import names
from trainers.ssl.encoders import load_backbone
from trainers.stage import InputError, MachineError, Work

BACKBONE = Backbone(architecture="resnet18")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as MoCo's authors lay it out."""
    return moco_file(tmp_path_factory.mktemp("files") / "moco v2.pth.tar", BACKBONE, keys=64)[0]


def test_registered_weights_are_loaded_as_they_were(tmp_path: Path, published: Path):
    weights = register(tmp_path / "weights", "moco-v2", published)
    assert load(tmp_path / "weights", "moco-v2") == weights
    assert names(tmp_path / "weights") == ["moco-v2"]
    assert (weights.layout, weights.architecture, weights.embedding_size) == ("moco", "resnet18", 128)
    assert weights.title == UNKNOWN
    encoder = weights.encoder()
    assert encoder.digest == weights.digest
    assert encoder.path == published
    assert encoder.backbone == BACKBONE


def test_a_vision_transformer_of_another_input_size_teaches_with_the_licence_that_timm_notes(tmp_path: Path):
    file = tmp_path / "vit.pth"
    published = timm.create_model("test_vit").eval()
    torch.save(published.state_dict(), file)
    named = "timm:test_vit.r160_in1k@32"
    weights = register(tmp_path / "weights", "vit", file, Asked(architecture=named))
    assert (weights.kind, weights.licence) == ("supervised", "apache-2.0")
    own = Asked(architecture="timm:test_vit", licence="ours")
    assert register(tmp_path / "weights", "own", file, own).licence == "ours"
    assert register(tmp_path / "weights", "untagged", file, Asked(architecture="timm:test_vit")).licence == ""
    stage = weights.encoder()
    (tmp_path / "artifact").mkdir()
    stage.run(Work(output=tmp_path / "artifact"))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    published.set_input_size(img_size=(32, 32))
    network = load_backbone(stage, tmp_path / "artifact")
    expected = published.forward_head(published.forward_features(network.fitted(images)), pre_logits=True)
    assert torch.allclose(network(images), expected, rtol=0, atol=1e-6)


CLASSIFIERS = {
    "test_convnext": "head.fc",
    "test_resnet": "fc",
    "test_efficientnet": "classifier",
    "regnetx_002": "head.fc",
}


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_of_a_published_file_of_timm_all_but_the_classifier_is_used(tmp_path: Path, model: str):
    torch.save(timm.create_model(model).state_dict(), tmp_path / "published.pth")
    weights = register(tmp_path / "weights", "free", tmp_path / "published.pth", Asked(architecture=f"timm:{model}"))
    assert set(weights.left_out) == {f"{CLASSIFIERS[model]}.weight", f"{CLASSIFIERS[model]}.bias"}
    assert weights.kind == "supervised"


RECORDS_OF_BEFORE = {
    "moco": ("self-supervised", "290d72314c6a7a23827acd588708fa9e"),
    "torchvision": ("supervised", "3260605a2f45a6aa2791dc6510771833"),
}
"""Kind, and key of the stage, by the layout in a record without a kind."""


@pytest.mark.parametrize("layout", RECORDS_OF_BEFORE)
def test_a_record_of_an_earlier_version_is_read(tmp_path: Path, layout: str):
    record = {"name": "free", "file": "/nowhere/free.pth", "digest": "0" * 64, "layout": layout}
    record |= {"architecture": "resnet50", "embedding_size": 128, "title": UNKNOWN, "stamp": [1, 2]}
    (tmp_path / "free.json").write_text(json.dumps(record))
    weights = load(tmp_path, "free")
    assert (weights.kind, key(weights.encoder())) == RECORDS_OF_BEFORE[layout]


def test_a_record_holds_what_is_used_and_names_what_is_not(tmp_path: Path, published: Path):
    weights = register(tmp_path / "weights", "moco-v2", published, Asked(licence="CC BY-NC 4.0"))
    assert (weights.prefix, weights.has_head, weights.kind) == ("state_dict.module.encoder_q.", True, "self-supervised")
    assert weights.num_used == len(BACKBONE.build(0).state_dict()) + 4
    assert weights.others == ("state_dict.module.encoder_k.",)
    assert "state_dict.module.queue" in weights.left_out
    assert "state_dict.module.encoder_k.layer1.0.* (12 tensors)" in weights.left_out
    assert weights.licence == "CC BY-NC 4.0"


def test_weights_that_show_no_kind_are_asked_for_it(tmp_path: Path):
    torch.save(
        {f"backbone.{name}": each for name, each in BACKBONE.build(0).state_dict().items()}, tmp_path / "free.pt"
    )
    with pytest.raises(
        InputError, match=r"free\.pt holds a resnet18 without classifier .*: nothing shows .* say --kind"
    ):
        register(tmp_path / "weights", "free", tmp_path / "free.pt")
    asked = Asked(kind="supervised")
    assert register(tmp_path / "weights", "free", tmp_path / "free.pt", asked).kind == "supervised"
    assert load(tmp_path / "weights", "free").encoder().prefix == "backbone."


@pytest.mark.parametrize("narrow", [Backbone(architecture="resnet18", width=8), Backbone(architecture="resnet10")])
def test_networks_of_another_width_than_the_usual_and_short_ones_are_known(narrow: Backbone, tmp_path: Path):
    tensors = {f"backbone.{name}": each for name, each in narrow.build(0).state_dict().items()}
    torch.save(tensors, tmp_path / "own.pt")
    register(tmp_path / "weights", "own", tmp_path / "own.pt", Asked(kind="self-supervised"))
    stage = load(tmp_path / "weights", "own").encoder()
    assert stage.backbone == narrow
    stage.run(Work(output=tmp_path))
    assert torch.equal(load_backbone(stage, tmp_path).state_dict()["conv1.weight"], tensors["backbone.conv1.weight"])


def test_supervised_weights_are_known_by_their_layout(tmp_path: Path):
    path, _ = torchvision_file(tmp_path / "mine.pth", BACKBONE)
    assert register(tmp_path / "weights", "supervised", path).layout == "torchvision"


def test_a_file_that_has_a_published_name_but_another_content_is_refused(tmp_path: Path, published: Path):
    for name, sentence in (
        ("moco_v2_800ep_pretrain.pth.tar", r"is not MoCo v2, 800 epochs on ImageNet: its md5 begins with"),
        (
            "resnet50-0676ba61.pth",
            r"is not ResNet-50, supervised .*: its sha256 begins with .*, not 0676ba61; download",
        ),
    ):
        copy = tmp_path / "copies" / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(published.read_bytes())
        with pytest.raises(InputError, match=sentence):
            register(tmp_path / "weights", "w", copy)
    assert names(tmp_path / "weights") == []


def test_the_published_prefixes_are_torchvisions():
    urls = [*ResNet50_Weights, *ResNet18_Weights]
    files = {weights.url.rpartition("/")[2] for weights in urls}
    ours = {official.file_name for official in OFFICIAL if official.digest == "sha256"}
    assert ours == files
    for official in OFFICIAL:
        if official.digest == "sha256":
            assert official.file_name.endswith(f"-{official.prefix}.pth")


def test_a_file_that_changed_since_is_refused_by_name(tmp_path: Path):
    path, _ = torchvision_file(tmp_path / "my file.pth", BACKBONE)
    register(tmp_path / "weights", "mine", path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    with pytest.raises(InputError, match=r"my file\.pth changed since weights 'mine' were registered") as refused:
        load(tmp_path / "weights", "mine")
    assert f"`freelunch weights add '{path}' --name mine`" in str(refused.value)


def test_weights_with_nan_are_not_registered(tmp_path: Path, published: Path):
    copy = tmp_path / "moco.pth.tar"
    copy.write_bytes(published.read_bytes())
    rewritten(copy, {"module.encoder_q.layer1.0.conv1.weight": torch.full((64, 64, 3, 3), float("nan"))})
    with pytest.raises(
        InputError, match=r"holds NaN or an infinite value in state_dict\.module\.encoder_q\.layer1\.0\.conv1\.weight"
    ):
        register(tmp_path / "weights", "mine", copy)
    assert names(tmp_path / "weights") == []


def test_weights_whose_file_is_gone_are_still_known(tmp_path: Path):
    path, _ = torchvision_file(tmp_path / "mine.pth", BACKBONE)
    weights = register(tmp_path / "weights", "mine", path)
    path.unlink()
    assert load(tmp_path / "weights", "mine") == weights


def test_an_unknown_name_is_told_how_to_register_it(tmp_path: Path):
    with pytest.raises(
        InputError,
        match=r"no weights named 'moco-v2' \(registered: none\): `freelunch weights add FILE --name moco-v2`",
    ):
        load(tmp_path / "weights", "moco-v2")
    with pytest.raises(InputError, match=r"'hf:timm/a' \(registered: none\): `freelunch weights add hf:timm/a` adds"):
        load(tmp_path / "weights", "hf:timm/a")
    with pytest.raises(InputError, match=r"^'a/b' cannot name weights: use letters"):
        load(tmp_path / "weights", "a/b")


@pytest.mark.parametrize("name", ["a/b", "../a", "", ".hidden", "a b"])
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, published: Path, name: str):
    with pytest.raises(InputError, match="cannot name weights"):
        register(tmp_path / "weights", name, published)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path):
    with pytest.raises(MachineError, match=r"nothing\.pth cannot be read on this machine \(No such file"):
        register(tmp_path / "weights", "mine", tmp_path / "nothing.pth")


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({"stamp": [1, 2]})])
def test_a_damaged_record_is_one_sentence(tmp_path: Path, content: str):
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(MachineError, match=r"mine\.json cannot be read: `freelunch weights add FILE --name mine`"):
        load(tmp_path, "mine")
