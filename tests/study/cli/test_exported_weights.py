"""`weights add` of what `export` wrote: files of a trial become free weights of another home."""

from pathlib import Path

import pytest
import torch

from tests.study.tiny_cli import called
from tests.study.tiny_home import copy_of, done, tiny_settings
from tests.trainers.export import parts
from trainers.export.writing import write_part
from trainers.pretrained import registry
from trainers.ssl.encoders import read_weights
from trainers.stage import Work

ROW = "table3/head"


@pytest.mark.parametrize(
    ("format_name", "file"), [("moco", "checkpoint.pth.tar"), ("safetensors", "model.safetensors")]
)
def test_weights_add_knows_the_trial_of_an_export_by_its_metadata(
    table3_home: Path, tmp_path: Path, format_name: str, file: str
):
    with tiny_settings():
        home = copy_of(table3_home, tmp_path)
        done(called(home, "export", ROW, "--format", format_name, "--output", str(tmp_path / "out")))
    said = done(called(tmp_path / "new", "weights", "add", str(tmp_path / "out" / file), "--name", "own")).output
    assert f"own: resnet10, student of {ROW}, seed 0, as freelunch exported it (SHA-256 " in said
    assert "self-supervised; " in said
    assert "no licence noted: --licence notes it" in said


@pytest.mark.parametrize(
    ("format_name", "file"),
    [
        ("moco", "checkpoint.pth.tar"),
        ("torchvision", "model.pth"),
        ("timm", "model.safetensors"),
        ("safetensors", "model.safetensors"),
    ],
)
def test_weights_add_takes_an_export_of_a_resnet(tmp_path: Path, format_name: str, file: str):
    stage, artifact = parts.encoder(parts.RESNET18, tmp_path / "encoder")
    (tmp_path / "out").mkdir()
    part = parts.encoder_part("student", stage, artifact, 32)
    write_part(part, format_name, tmp_path / "out", {"freelunch.part": "student"})
    added = ("weights", "add", str(tmp_path / "out" / file), "--name", "own", "--kind", "self-supervised")
    assert "own: resnet18" in done(called(tmp_path / "home", *added)).output
    free = registry.load(tmp_path / "home" / "weights", "own").encoder()
    (tmp_path / "free").mkdir()
    free.run(Work(output=tmp_path / "free"))
    ours, theirs = (read_weights(folder)["query"] for folder in (artifact, tmp_path / "free"))
    for name in ours:
        if format_name == "moco" or name.startswith("backbone."):
            assert torch.equal(ours[name], theirs[name]), name
