"""Commands for public weights: added from files and by name, listed, shown, and used by studies."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, done, refused
from tests.trainers.pretrained.layout_files import layout_file, safetensors_file
from trainers.networks.backbones import Backbone
from trainers.pretrained.downloads import Downloaded
from trainers.pretrained.public_weights import SHIPPED
from trainers.stage import MachineError

pytestmark = pytest.mark.usefixtures("tiny_scale")

Call = Callable[..., Result]
RESNET18 = Backbone(architecture="resnet18")


def test_what_of_a_file_is_used_and_what_is_not_is_said(call: Call, tmp_path: Path):
    file, _ = layout_file(tmp_path / "checkpoint.pth", "DINO", RESNET18)
    added = done(call("weights", "add", str(file), "--name", "dino", "--licence", "Apache-2.0")).output
    assert "dino: resnet18, of unknown origin (SHA-256 " in added
    assert "self-supervised; 120 tensors under teacher.backbone., without a projection head that ours can take" in added
    assert "the file holds another network under student.module.backbone.: --prefix chooses it" in added
    assert "teacher.head.mlp.0.weight, teacher.head.last_layer.weight_g" in added
    shown = done(call("weights", "show", "dino")).output
    for part in ("teacher.backbone.", "student.module.backbone.", "Apache-2.0", "dino_loss.center", "120"):
        assert part in shown
    (record,) = json.loads(done(call("weights", "list", "--json")).output)
    assert (record["name"], record["kind"], record["licence"]) == ("dino", "self-supervised", "Apache-2.0")
    assert "self-supervised" in done(call("weights")).output


def test_a_file_that_has_changed_or_gone_is_listed_as_such(call: Call, tmp_path: Path):
    for name in ("first", "second"):
        done(call("weights", "add", str(safetensors_file(tmp_path / name, RESNET18)[0]), "--name", name))
    (tmp_path / "first").write_bytes(b"")
    (tmp_path / "second").unlink()
    faults = {each["name"]: each["fault"] for each in json.loads(done(call("weights", "list", "--json")).output)}
    assert faults == {"first": "has changed", "second": "is not on this machine"}


def test_what_nothing_shows_is_asked_for(call: Call, tmp_path: Path):
    torch.save({f"encoder.{name}": each for name, each in RESNET18.build(0).state_dict().items()}, tmp_path / "free.pt")
    add = ("weights", "add", str(tmp_path / "free.pt"))
    refused(call(*add), 2, "--name is missing")
    refused(call(*add, "--name", "free"), 2, "nothing shows whether labels trained it", "--kind self-supervised")
    refused(call(*add, "--name", "free", "--kind", "supervised", "--prefix", "model"), 2, "name one of encoder.")
    refused(call(*add, "--name", "free", "--architecture", "resnet51"), 2, "there is no architecture 'resnet51'")
    refused(call(*add, "--name", "free", "--architecture", "resnet50"), 2, "where resnet50 has 64×64×1×1")
    assert "free: resnet18" in done(call(*add, "--name", "free", "--kind", "supervised")).output


def test_a_file_that_is_named_as_weights_is_to_be_added_first(call: Call, tmp_path: Path):
    file, _ = safetensors_file(tmp_path / "free.safetensors", RESNET18)
    said = f"'{file}' is a file: `freelunch", f"weights add {file} --name NAME` gives it a name to use"
    refused(call("weights", "show", str(file)), 2, *said)


def test_what_the_metadata_of_a_file_says_is_shown_as_such(call: Call):
    add = ("weights", "add", str(SHIPPED / "demo-supervised.safetensors"), "--name")
    said = done(call(*add, "free")).output
    assert "free: resnet10, free model of the demo scale: classifier of scenes, 16,384 drawn images" in said
    assert (
        "origin, licence, kind: as the file's metadata says, unless --origin, --licence, --kind says otherwise" in said
    )
    assert done(call("weights", "show", "free")).output.count("(as the file's metadata") == 3
    said = done(call(*add, "own", "--origin", "of our trainee", "--licence", "MIT", "--kind", "supervised")).output
    assert "own: resnet10, of our trainee (SHA-256 " in said
    assert "licence: MIT" in said
    assert "the file's metadata" not in said + done(call("weights", "show", "own")).output


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A publisher of one file; the names that were asked for."""
    asked: list[str] = []

    def download(source: str, folder: Path) -> Downloaded:
        if asked:
            raise MachineError("there is no network")
        asked.append(source)
        folder.mkdir(parents=True)
        path, _ = safetensors_file(folder / "model.safetensors", RESNET18)
        return Downloaded(
            path=path, architecture="resnet18", kind="self-supervised", licence="apache-2.0", title="a model of the hub"
        )

    monkeypatch.setattr("study.cli.weights.download", download)
    return asked


def test_weights_of_the_hub_are_downloaded_once_and_found_without_a_network(
    published: list[str], tiny_home: Path, tmp_path: Path
):
    home = Path(shutil.copytree(tiny_home / "datasets", tmp_path / "home" / "datasets")).parent
    plan = ("plan", "table3", *ASKED, "--weights", "hf:timm/resnet18")
    for _ in range(2):
        planned = done(called(home, *plan)).output
        assert "hf-timm-resnet18 is a model of the hub (resnet18, SHA-256 " in planned
    assert "--weights hf:timm/resnet18" in planned
    assert published == ["hf:timm/resnet18"]
    shown = json.loads(done(called(home, "weights", "show", "hf:timm/resnet18", "--json")).output)
    assert (shown["source"], shown["licence"], shown["kind"]) == ("hf:timm/resnet18", "apache-2.0", "self-supervised")
    assert Path(shown["file"]).is_relative_to(home)
    refused(called(home, "plan", "table3", *ASKED, "--weights", "hf:timm/other"), 3, "there is no network")


def test_downloaded_weights_are_found_by_both_their_names(published: list[str], call: Call):
    done(call("weights", "add", "hf:timm/resnet18", "--name", "ours"))
    for name in ("ours", "hf:timm/resnet18"):
        assert json.loads(done(call("weights", "show", name, "--json")).output)["name"] == "ours"
    refused(call("weights", "show", "hf:timm/other"), 2, "no weights named 'hf:timm/other' (registered: ours)")
